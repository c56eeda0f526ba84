"""Run every OpenQASM program of a folder through a gateway of its own, and compare with linear algebra.

Usage: ``python tools/try_programs.py FOLDER [--calibration qmio|fez|PATH] [--shots N] [--out REPORT.md]``.

FOLDER is searched for ``*.qasm``. Each program must, on the ideal and on the emulated device, either run or be refused
by one line that names the file, line and column, what is wrong and what to do. Counts of OpenQASM 2 are compared with
`qmio_jupyter.testing.exact` (with noise up to 8 qubits, on the circuit that the dry run shows), those of OpenQASM 3 too
where `EXPECTED` knows the file. Exit code 1 if anything disagrees, crashes or is refused without saying where.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qmio_jupyter.calibration.record import DeviceRecord
from qmio_jupyter.calibration.snapshots import record_of
from qmio_jupyter.cli.naming import with_file
from qmio_jupyter.cli.programs import read_programs
from qmio_jupyter.client.spec import build_spec
from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.errors import QmioError
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import QASM2, Program
from qmio_jupyter.model.task import TaskOptions, TaskSpec
from qmio_jupyter.testing.device_noise import DeviceNoise
from qmio_jupyter.testing.exact import probabilities
from qmio_jupyter.testing.homes import Home
from qmio_jupyter.testing.openqasm2 import Reader
from qmio_jupyter.testing.openqasm3 import Compiled
from qmio_jupyter.testing.samples_of import disagreement, numbered_counts

NOISY = "emulated"
#: Predicted seconds above which a program gets fewer shots.
PATIENCE_S = 10.0
#: Widest program whose noisy counts are compared.
WIDEST = 8
SEED = 7
SETTINGS = f"""
[[gateway.agents]]
device = "{NOISY}"
driver = "emulator"
[gateway.agents.options]
calibration = "CALIBRATION"
[[gateway.agents]]
device = "ideal"
driver = "ideal"
"""
#: A refusal that says where: file, line and column.
PLACE = re.compile(r"\.qasm: line \d+, column \d+: \S")
#: Programs that are wrong as published, and what makes them right: they are refused first, and run once mended.
MENDED: dict[str, tuple[tuple[str, str], ...]] = {
    "vqe_uccsd_n4": (("qreg reg[4];", "qreg reg[4]; creg c[4];"), ("measure q[", "measure reg[")),
}
_TELEPORTED = math.sin(0.15) ** 2
#: Exact outcomes of well-known OpenQASM 3 examples, by file name; bit 0 is the first declared.
EXPECTED: dict[str, dict[int, float]] = {
    "qft": dict.fromkeys(range(16), 1 / 16),
    "qpt": {0: 0.5, 1: 0.5},
    "rb": {0: 1.0},
    "inverseqft1": {0: 1.0},
    "inverseqft2": {0: 1.0},
    "teleport": {k: (_TELEPORTED if k & 4 else 1 - _TELEPORTED) / 4 for k in range(8)},
    "adder": {16: 1.0},
    "qec": {0b01_000: 1.0},
}


def checked(client: Client, file: Path, program: Program, shots: int, record: DeviceRecord) -> Iterator[str]:
    """Run one program on every device; give one word on each (beginning with ``WRONG`` for a failure)."""

    def spec(device: str, options: TaskOptions) -> TaskSpec:
        return build_spec([program], device=device, shots=shots, options=options)

    is_2 = program.media_type == QASM2
    for device, options in (
        ("ideal", TaskOptions(seed=SEED)),
        (NOISY, TaskOptions(seed=SEED, ideal=True)),
        (NOISY, TaskOptions(seed=SEED)),
    ):
        is_noisy = device == NOISY and not options.ideal
        try:
            shown = client.estimate(spec(device, options), [program]).items[0]
            fitting = int(shots * min(1.0, PATIENCE_S / max(shown.predicted_s, 1e-6)))
            task = build_spec([program], device=device, shots=max(100, fitting), options=options)
            result = client.submit(task, [program]).result(timeout_s=10 * PATIENCE_S)
        except QmioError as error:
            line = with_file(error.message, [file.name])
            said = bool(PLACE.search(line)) and bool(error.hint) and error.code.startswith("program")
            yield f"{'refused' if said else 'WRONG'}: {line}. {error.hint}"
            return
        counts = numbered_counts(result.items[0])
        if not is_noisy:
            if is_2:
                reader = Reader(program.data.decode())
                expected = probabilities(reader.steps, reader.n_qubits)
            elif file.stem in EXPECTED:
                expected = EXPECTED[file.stem]
            else:
                yield "ran"
                continue
        else:
            compiled = Compiled(shown.circuit, record.dt_s)
            if shown.is_cut or len(compiled.qubits) > WIDEST:
                yield f"ran ({len(compiled.qubits)} qubits, not compared)"
                continue
            noise = DeviceNoise(record, compiled.qubits)
            expected = probabilities(
                compiled.steps, len(compiled.qubits), noise=noise, readout=noise.readout()
            )
        found = disagreement(counts, expected)
        yield f"WRONG: {found}" if found else "agrees"


def mended(program: Program, mistakes: tuple[tuple[str, str], ...]) -> Program:
    """Return a program with its mistakes corrected."""
    text = program.data.decode()
    for wrong, right in mistakes:
        text = text.replace(wrong, right)
    data = text.encode()
    return Program(digest=digest(data), media_type=program.media_type, data=data)


def main() -> int:
    """Check every program; print and return whether all is well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calibration", default="qmio")
    parser.add_argument("--shots", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    rows = ["| program | ideal | emulated, without noise | emulated, with noise |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as directory:
        home = Home(Path(directory) / "qmio")
        settings = Path(directory) / "config.toml"
        settings.write_text(SETTINGS.replace("CALIBRATION", asked.calibration))
        client = connect(environ=home.environ(QMIO_CONFIG=str(settings)), start=True, timeout_s=60)
        try:
            record = record_of(client.snapshot(device=NOISY))
            for file in sorted(asked.folder.rglob("*.qasm")):
                (program,) = read_programs(str(file), None)
                tried = [(file.name, program)]
                if file.stem in MENDED:
                    tried.append((f"{file.name}, mended", mended(program, MENDED[file.stem])))
                for name, one in tried:
                    words = list(checked(client, file, one, asked.shots, record))
                    rows.append(f"| {name} | " + " | ".join(words) + " |")
                    print(rows[-1], flush=True)
        finally:
            client.close()
            home.stop()
    wrong = [row for row in rows if "WRONG" in row]
    if asked.out is not None:
        head = f"# OpenQASM programs on {asked.calibration}, up to {asked.shots} shots each\n\n"
        asked.out.write_text(f"{head}{chr(10).join(rows)}\n\n{len(rows) - 2} runs, {len(wrong)} wrong.\n")
    print(f"{len(rows) - 2} programs, {len(wrong)} wrong")
    return 1 if wrong or len(rows) == 2 else 0


if __name__ == "__main__":
    sys.exit(main())
