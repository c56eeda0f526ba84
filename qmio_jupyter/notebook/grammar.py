"""Parse the line of ``%%qpu`` and ``%qpu`` by the table in ``options``. Pure: no IPython, no gateway.

argparse does the work; abbreviations are off, and every complaint is a `UsageError` of one line with the
nearest word that is right.
"""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NoReturn

import msgspec

from qmio_jupyter.errors import UsageError
from qmio_jupyter.model.parity import Parity
from qmio_jupyter.notebook.options import (
    HELP,
    RUN_OPTIONS,
    SUBCOMMANDS,
    SYNONYMS,
    Argument,
    Option,
    Subcommand,
)
from qmio_jupyter.notebook.words import split_words

#: The word of a cell's own line, which has no subcommand.
CELL = ""


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What ``%%qpu`` and ``%qpu run`` were asked; None: not said, the configured default holds."""

    device: str | None = None
    shots: int | None = None
    out: str | None = None
    #: ``(name, expression)`` in the order written.
    bind: tuple[tuple[str, str], ...] = ()
    label: str | None = None
    #: Expectation values to show.
    expect: tuple[Parity, ...] = ()
    seed: int | None = None
    ideal: bool = False
    opt_level: int | None = None
    #: Physical qubits; empty or None: the device chooses.
    layout: tuple[int, ...] | None = None
    lang: str | None = None
    pace: str | None = None
    memory: bool = False
    timeout: float | None = None
    no_wait: bool = False
    dry_run: bool = False
    snapshot: str | None = None
    compiled_for: str | None = None
    stale: str | None = None
    device_option: tuple[tuple[str, str], ...] = ()
    quiet: bool = False


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed line: its subcommand (`CELL` for ``%%qpu``), and what came with it."""

    word: str
    help: bool = False
    run: RunOptions = RunOptions()
    #: Positional arguments and the subcommand's own options, by field.
    values: dict[str, Any] = {}


class _Parser(argparse.ArgumentParser):
    """An argparse that raises `UsageError` and never prints or exits."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}", code="usage.option", hint=f"See {_help_of(self.prog)}.")


def parse_cell(line: str) -> Command:
    """Return the command of a ``%%qpu`` line (without the ``%%qpu``).

    Raises
    ------
    UsageError
        In one line: what is wrong and what is nearest to it.
    """
    words = split_words(line)
    if "--help" in words:
        return Command(word=CELL, help=True)
    namespace, extra = _parser(CELL).parse_known_args(words)
    if extra:
        first = _first_strange(extra)
        if first in _WORDS:
            raise UsageError(
                f"%%qpu takes options only, {first!r} is a subcommand",
                code="usage.option",
                hint=f"Write %qpu {first}, with one %.",
            )
        raise _strange(first, "%%qpu", RUN_OPTIONS)
    return Command(word=CELL, run=_run_options(vars(namespace)))


def parse_line(line: str) -> Command:
    """Return the command of a ``%qpu`` line (without the ``%qpu``); an empty one asks for help.

    Raises
    ------
    UsageError
        In one line: what is wrong and what is nearest to it.
    """
    words = split_words(line)
    if not words or words[0] in ("--help", "help"):
        strange = [word for word in words[1:] if word != "--help"]
        if strange:
            raise _strange(strange[0], "%qpu help", (HELP,))
        return Command(word="help", help=True)
    word = words[0]
    if word.startswith("-"):
        raise UsageError(
            f"%qpu needs a subcommand before {word!r}",
            code="usage.option",
            hint="To run the cell's body write %%qpu, with two %; to run a variable, %qpu run VAR.",
        )
    if word not in _WORDS:
        raise UsageError(
            f"%qpu knows no {word!r}.{_did_you_mean(word, _WORDS)}",
            code="usage.option",
            hint=f"Subcommands: {', '.join(_WORDS)}.",
        )
    if "--help" in words:
        return Command(word=word, help=True)
    subcommand = _WORDS[word]
    namespace, extra = _parser(word).parse_known_args(words[1:])
    if extra:
        raise _strange(_first_strange(extra), f"%qpu {word}", subcommand.options)
    values = vars(namespace)
    run = _run_options(values) if word == "run" else RunOptions()
    names = {argument.field for argument in subcommand.arguments}
    if word != "run":
        names |= {option.field for option in subcommand.options}
    return Command(word=word, run=run, values={name: values[name] for name in sorted(names - {"help"})})


def check_options(asked: RunOptions) -> RunOptions:
    """Return options given as values, checked by the same table as those of a line.

    Raises
    ------
    UsageError
        Naming the argument and what it accepts.
    """
    checked: dict[str, Any] = {}
    for option in RUN_OPTIONS:
        value = getattr(asked, option.field, None)
        if not option.metavar or option.repeated or value is None or option.field == "out":
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        if text:
            checked[option.field] = convert_value(option, text)
    return msgspec.structs.replace(asked, **checked)


def convert_value(option: Option, text: str) -> Any:
    """Return the value that `text` means for `option`.

    Raises
    ------
    UsageError
        Naming the option's field and what it accepts.
    """
    try:
        return option.convert(text)
    except ValueError as error:
        raise UsageError(f"{option.field}: {error}", code="usage.option", hint="See %qpu help.") from None


def help_text(word: str | None = None) -> str:
    """Return the help of a subcommand, of ``%%qpu`` (`CELL`), or of everything (None)."""
    if word == CELL:
        return _page("%%qpu [options]", "Run the cell's body: OpenQASM 3 or 2, or Python.", (), RUN_OPTIONS)
    if word is not None:
        known = _WORDS[word]
        return _page(
            f"%qpu {_subcommand_usage(known)}",
            known.help,
            known.arguments,
            known.options,
        )
    lines = [
        help_text(CELL),
        "",
        "%qpu SUBCOMMAND (each takes --help)",
        *(f"  {_subcommand_usage(subcommand):<22} {subcommand.help}" for subcommand in SUBCOMMANDS),
    ]
    return "\n".join(lines)


def rows() -> list[tuple[str, str, str]]:
    """Return the whole grammar as ``(where, what is written, what it does)``, for the reference."""
    found = [("%%qpu", _option_usage(option), option.help) for option in RUN_OPTIONS]
    for subcommand in SUBCOMMANDS:
        where = f"%qpu {subcommand.word}"
        found.append(("%qpu", _subcommand_usage(subcommand), subcommand.help))
        found.extend((where, argument.metavar, argument.help) for argument in subcommand.arguments)
        if subcommand.options is not RUN_OPTIONS:
            found.extend((where, _option_usage(option), option.help) for option in subcommand.options)
    return found


def options_of(word: str) -> tuple[Option, ...]:
    """Return the options a subcommand takes; those of ``%%qpu`` for `CELL`, none for an unknown word."""
    if word == CELL:
        return RUN_OPTIONS
    return _WORDS[word].options if word in _WORDS else ()


def arguments_of(word: str) -> tuple[Argument, ...]:
    """Return the positional arguments of a subcommand; none for an unknown word."""
    return _WORDS[word].arguments if word in _WORDS else ()


# ---------------------------------------------------------------- the parsers

_WORDS: dict[str, Subcommand] = {subcommand.word: subcommand for subcommand in SUBCOMMANDS}


@cache
def _parser(word: str) -> _Parser:
    prog = "%%qpu" if word == CELL else f"%qpu {word}"
    parser = _Parser(prog=prog, add_help=False, allow_abbrev=False)
    for argument in arguments_of(word):
        count = {"1": None, "2+": "+"}.get(argument.count, argument.count)
        parser.add_argument(
            argument.field,
            metavar=argument.metavar,
            nargs=count,
            type=_quiet(argument.convert),
            action=_AtLeastTwo if argument.count == "2+" else None,  # type: ignore[arg-type]
        )
    for option in options_of(word):
        if not option.metavar:
            parser.add_argument(*option.flags, dest=option.field, action="store_true")
        elif option.repeated:
            parser.add_argument(
                *option.flags, dest=option.field, action="append", default=[], type=_quiet(option.convert)
            )
        else:
            parser.add_argument(
                *option.flags, dest=option.field, action=_Once, default=None, type=_quiet(option.convert)
            )
    return parser


class _Once(argparse.Action):
    """Refuses an option given twice: which one would hold is nobody's guess."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"{option_string} is given twice")
        setattr(namespace, self.dest, values)


class _AtLeastTwo(argparse.Action):
    """Refuses fewer than two values."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        if len(values) < 2:
            parser.error(f"two {self.metavar} or more are needed")
        setattr(namespace, self.dest, values)


def _quiet(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Make argparse keep the converter's own words."""

    def converted(text: str) -> Any:
        try:
            return convert(text)
        except ValueError as error:
            hint = " (variables are not expanded here; use qmio_jupyter.run)" if text[:1] in "${" else ""
            raise argparse.ArgumentTypeError(f"{error}{hint}") from None

    return converted


def _run_options(values: dict[str, Any]) -> RunOptions:
    known = {name: values[name] for name in RunOptions.__struct_fields__}
    known["bind"] = tuple(known["bind"])
    known["expect"] = tuple(known["expect"])
    known["device_option"] = tuple(known["device_option"])
    for flag, pairs in (("--bind", known["bind"]), ("--device-option", known["device_option"])):
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise UsageError(
                    f"{flag} gives {name!r} twice", code="usage.option", hint="Keep one of them."
                )
    return RunOptions(**known)


# ---------------------------------------------------------------- complaints and help


def _first_strange(extra: Sequence[str]) -> str:
    return next((word for word in extra if word.startswith("-")), extra[0])


def _strange(word: str, where: str, options: Iterable[Option]) -> UsageError:
    flags = [flag for option in options for flag in option.flags]
    name = word.split("=", 1)[0]
    if name.startswith("-"):
        return UsageError(
            f"{where}: unknown option {name}.{_did_you_mean(name, flags)}",
            code="usage.option",
            hint=f"See {_help_of(where)}.",
        )
    return UsageError(
        f"{where}: {word!r} is one word too many", code="usage.option", hint=f"See {_help_of(where)}."
    )


def _help_of(where: str) -> str:
    """Return what to type for help; a cell magic without a body may be refused by IPython, so never that."""
    return "%qpu help" if where in ("%%qpu", "%qpu help") else f"{where} --help"


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest right word, directly or through what other tools call it."""
    meant = {name: name for name in known if len(name) > 2}
    meant.update({name: right for name, right in SYNONYMS.items() if right in meant})
    near = [word] if word in meant else difflib.get_close_matches(word, meant, n=1, cutoff=0.6)
    return f" Did you mean {meant[near[0]]}?" if near else ""


def _subcommand_usage(subcommand: Subcommand) -> str:
    return " ".join([subcommand.word, *map(_argument_usage, subcommand.arguments)])


def _argument_usage(argument: Argument) -> str:
    if argument.count == "2+":
        return f"{argument.metavar} {argument.metavar}.."
    return f"[{argument.metavar}]" if argument.count in ("?", "*") else argument.metavar


def _option_usage(option: Option) -> str:
    flags = "/".join(option.flags)
    usage = f"{flags} {option.metavar}" if option.metavar else flags
    return f"{usage} ..." if option.repeated else usage


def _page(usage: str, what: str, arguments: Sequence[Argument], options: Sequence[Option]) -> str:
    lines = [usage, f"  {what}"]
    if arguments:
        lines += ["", *(f"  {argument.metavar:<30} {argument.help}" for argument in arguments)]
    if options:
        lines += ["", *(f"  {_option_usage(option):<30} {option.help}" for option in options)]
    return "\n".join(lines)
