"""``jupyter qmio run``: submit programs, wait, print the counts."""

from __future__ import annotations

import math
from contextlib import suppress

import click
from msgspec.structs import replace

from qmio_jupyter.cli.documents import dry_run_document, result_documents
from qmio_jupyter.cli.exits import Exit
from qmio_jupyter.cli.naming import naming_files
from qmio_jupyter.cli.programs import LANGUAGES, read_programs
from qmio_jupyter.cli.progress import Bar
from qmio_jupyter.cli.shared import SECONDS, client_for, emit, json_option, note, task_document
from qmio_jupyter.client.flows import ESTIMATE_S
from qmio_jupyter.client.spec import build_spec, snapshot_named
from qmio_jupyter.client.sync import Client, TaskHandle, mint_task_id
from qmio_jupyter.config import settings
from qmio_jupyter.display.dry_run import dry_run_text
from qmio_jupyter.display.result_text import result_text
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.program import Program
from qmio_jupyter.model.task import MAX_SHOTS, StalePolicy, TaskOptions, TaskSpec
from qmio_jupyter.notebook.binding import matrix
from qmio_jupyter.notebook.values import LONGEST_LABEL

#: How long an interrupted run waits for the cancellation to be accepted.
_CANCEL_S = 5.0


def _pairs(_: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or name.strip() in found:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, or its name is given twice", param=option)
        found[name.strip()] = value.strip()
    return found


def _numbers(ctx: click.Context, option: click.Parameter, texts: tuple[str, ...]) -> dict[str, object]:
    """Read ``NAME=NUMBER`` or ``NAME=N,N,...`` (one binding per number)."""
    found: dict[str, object] = {}
    for name, text in _pairs(ctx, option, texts).items():
        try:
            values = [float(word) for word in text.strip("[]() ").split(",")]
        except ValueError:
            values = [math.nan]
        if not all(map(math.isfinite, values)):
            raise click.BadParameter(
                f"{name}={text}: finite numbers are expected (expressions are for notebooks)", param=option
            )
        found[name] = values if "," in text else values[0]
    return found


def _label(_: click.Context, option: click.Parameter, text: str) -> str:
    if len(text) > LONGEST_LABEL:
        raise click.BadParameter(
            f"at most {LONGEST_LABEL} characters are accepted, not {len(text)}", param=option
        )
    return text


def _layout(_: click.Context, option: click.Parameter, text: str | None) -> tuple[int, ...]:
    if text is None or text == "auto":
        return ()
    try:
        qubits = tuple(int(word) for word in text.split(","))
    except ValueError:
        qubits = (-1,)
    if min(qubits) < 0 or len(set(qubits)) != len(qubits):
        raise click.BadParameter("'auto' or distinct qubit numbers like 0,1,5 are expected", param=option)
    return qubits


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-d", "--device", default=None, metavar="NAME", help="Where to run (default: as configured).")
@click.option("-n", "--shots", type=click.IntRange(1, MAX_SHOTS), default=None, metavar="N")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=None, metavar="N")
@click.option("--bind", multiple=True, callback=_numbers, metavar="NAME=NUMBER[,NUMBER...]")
@click.option("--label", callback=_label, default="", metavar="TEXT", help="A name to find the task by.")
@click.option("--lang", type=click.Choice(list(LANGUAGES)), default=None, help="The files' language.")
@click.option("--memory", is_flag=True, help="Keep every shot, in order.")
@click.option("--ideal", is_flag=True, help="Without noise.")
@click.option("--opt-level", type=click.IntRange(0, 3), default=None)
@click.option("--layout", callback=_layout, default=None, metavar="auto|I,J,...", help="Physical qubits.")
@click.option("--pace", type=click.Choice(["real", "fast"]), default="fast", show_default=True)
@click.option("--snapshot", default=None, metavar="ID|current", help="Calibration snapshot to run against.")
@click.option(
    "--compiled-for",
    default=None,
    metavar="ID|current",
    help="The programs are in the device's own gates, on its own qubits, compiled for this snapshot.",
)
@click.option("--stale", type=click.Choice([policy.value for policy in StalePolicy]), default="warn")
@click.option("--max-attempts", type=click.IntRange(1, 100), default=None, metavar="N")
@click.option("--device-option", multiple=True, callback=_pairs, metavar="NAME=VALUE")
@click.option("-t", "--timeout", type=SECONDS, default=None, metavar="SECONDS")
@click.option(
    "--dry-run", is_flag=True, help="Queue nothing: print the compiled circuit, its fidelity, time and cost."
)
@click.option("-a", "--no-wait", is_flag=True, help="Print the task's id and go.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
@json_option
def command(
    files: tuple[str, ...],
    device: str | None,
    shots: int | None,
    seed: int | None,
    bind: dict[str, object],
    label: str,
    lang: str | None,
    memory: bool,
    ideal: bool,
    opt_level: int | None,
    layout: tuple[int, ...],
    pace: str,
    snapshot: str | None,
    compiled_for: str | None,
    stale: str,
    max_attempts: int | None,
    device_option: dict[str, str],
    timeout: float | None,
    dry_run: bool,
    no_wait: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Run programs and print their counts.

    FILE is OpenQASM 2 or 3, or QPY; '-' reads standard input. Several files (or circuits in a QPY file) are
    one task, and with --json a list of documents. Bitstrings are in Qiskit's order, registers separated by
    spaces. Ctrl-C cancels the task. After --timeout seconds the command ends (exit code 5) and the task goes
    on.
    """
    configured = settings.load().client
    programs: list[Program] = []
    names: list[str] = []
    for name in files:
        found = read_programs(name, lang)
        programs += found
        names += [name] * len(found)
    options = TaskOptions(
        seed=seed,
        memory=memory,
        ideal=ideal,
        optimization_level=opt_level,
        layout=layout,
        pace=pace,
        snapshot=snapshot,
        compiled_for=compiled_for,
        stale=StalePolicy(stale),
        max_attempts=max_attempts,
        device_options=tuple(sorted(device_option.items())),
    )
    spec = build_spec(
        programs,
        device=device or configured.default_device,
        shots=shots or configured.shots,
        parameters=matrix(bind, None),
        options=options,
        label=label,
    )
    if dry_run:
        with client_for() as client, naming_files(names):
            found_run = client.estimate(_named(client, spec), programs, within_s=timeout or ESTIMATE_S)
        if as_json:
            emit(dry_run_document(found_run, names))
        else:
            click.echo(dry_run_text(found_run, most_lines=None))
        return Exit.OK
    with client_for() as client, naming_files(names):
        handle = _submit(client, _named(client, spec), programs)
        if no_wait:
            if as_json:
                emit(task_document(handle.view))
            else:
                click.echo(handle.task_id)
            return Exit.OK
        _wait(handle, timeout, quiet=quiet)
        handle.raise_for_state()
        found_result = handle.result()
    if as_json:
        emit(result_documents(handle.view, found_result, names))
    else:
        click.echo(result_text(handle.view, found_result))
    return Exit.OK


def _named(client: Client, spec: TaskSpec) -> TaskSpec:
    """Return the task with whole ids for the snapshots that it names."""
    options = spec.options
    if options.snapshot is None and options.compiled_for is None:
        return spec
    device = client.device(spec.device)
    if options.snapshot is not None:
        options = replace(options, snapshot=snapshot_named(options.snapshot, device, "--snapshot"))
    if options.compiled_for is not None:
        options = replace(
            options, compiled_for=snapshot_named(options.compiled_for, device, "--compiled-for")
        )
    return replace(spec, options=options)


def _submit(client: Client, spec: TaskSpec, programs: list[Program]) -> TaskHandle:
    task_id = mint_task_id()
    try:
        return client.submit(spec, programs, task_id=task_id)
    except KeyboardInterrupt:
        # It may have been accepted a moment before: then it must not run on unseen.
        with suppress(QmioError):
            client.cancel(task_id, timeout_s=_CANCEL_S)
        raise


def _wait(handle: TaskHandle, timeout_s: float | None, *, quiet: bool) -> None:
    try:
        with Bar(enabled=not quiet) as bar:
            handle.wait(timeout_s, bar)
    except KeyboardInterrupt:
        try:
            view = handle.cancel(_CANCEL_S)
        except QmioError as error:
            note(f"interrupted; task {handle.task_id} could not be cancelled: {error.one_line()}")
        else:
            note(f"interrupted; task {handle.task_id} is {view.state}")
        raise SystemExit(Exit.INTERRUPTED) from None
