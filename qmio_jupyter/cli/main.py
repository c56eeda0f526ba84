"""The command group ``jupyter qmio``; each command has a file of its own, imported when it is used."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from qmio_jupyter._version import __version__
from qmio_jupyter.cli.exits import Exit, exit_for
from qmio_jupyter.errors import QmioError

#: Command -> the module that holds it (as ``command``).
COMMANDS = {
    "up": "up",
    "down": "down",
    "status": "status",
    "run": "run",
    "tasks": "tasks",
    "show": "show",
    "cancel": "cancel",
    "result": "result",
    "devices": "devices",
    "doctor": "doctor",
    "key": "key",
    "lab": "lab",
    "prolog": "prolog",
    "epilog": "epilog",
}


#: Magic -> the command that does the same: hints name magics, for most of their readers sit in a notebook.
_COMMAND_OF = {
    "tasks": "tasks",
    "status": "show",
    "attach": "result",
    "result": "result",
    "cancel": "cancel",
    "devices": "devices",
    "device": "devices",
    "help": "--help",
}
_MAGIC = re.compile(rf"%qpu ({'|'.join(_COMMAND_OF)})\b")


class QmioGroup(click.Group):
    """A group that loads its commands on demand and says every error in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order of the documentation."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, importing its module."""
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = importlib.import_module(f"qmio_jupyter.cli.{module}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was probably meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
            meant = f"Did you mean {near[0]}?" if near else f"Commands: {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command {name!r}. {meant}", ctx)
        return super().resolve_command(ctx, args)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; end the process with one of :class:`qmio_jupyter.cli.exits.Exit`."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            code = super().main(
                args, prog_name or "jupyter qmio", complete_var, standalone_mode=False, **extra
            )
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            sys.exit(Exit.USAGE)
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx is not None else "jupyter qmio"
            _end(f"{where}: {error.format_message()}", Exit.USAGE)
        except click.ClickException as error:
            _end(error.format_message(), Exit.ERROR)
        except (click.Abort, KeyboardInterrupt):
            _end("interrupted", Exit.INTERRUPTED)
        except QmioError as error:
            _end(in_commands(error.one_line()), exit_for(error))
        except BrokenPipeError:
            # The reader of our output went away; say nothing more, not even at interpreter exit.
            sys.stderr.close()
            sys.exit(Exit.ERROR)
        sys.exit(code if isinstance(code, int) else Exit.OK)


def in_commands(text: str) -> str:
    """Return `text` with the command in place of every magic it names."""
    return _MAGIC.sub(lambda found: f"jupyter qmio {_COMMAND_OF[found[1]]}", text)


def _end(line: str, code: Exit) -> NoReturn:
    click.echo(" ".join(line.split()), err=True)
    sys.exit(code)


@click.group(cls=QmioGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="jupyter qmio")
def main() -> None:
    """Quantum programs from the terminal, through the same gateway as the notebook.

    Every command takes --json, but those that run, or are run by, another program (lab, prolog, epilog). Exit
    codes: 0 done, 1 error, 2 usage or configuration, 3 the task failed, 4 the task was cancelled, 5 a deadline
    passed, 6 no gateway, 130 interrupted.
    """


if __name__ == "__main__":
    main()
