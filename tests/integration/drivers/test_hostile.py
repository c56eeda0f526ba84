"""Programs that are wrong, damaged or out to hurt: each costs its worker at most, and gets one clear error."""

import io
import random
import signal
import threading
import time

import psutil
import pytest
from qiskit import QuantumCircuit, qpy

from qmio_jupyter.drivers.aer.read import NEWEST_QPY
from qmio_jupyter.drivers.sizes import RESULT_BYTES
from qmio_jupyter.errors import TaskCancelledError
from qmio_jupyter.model.program import OCTETS, QASM2, QASM3, QPY
from qmio_jupyter.model.task import ParameterMatrix
from qmio_jupyter.testing import runs
from qmio_jupyter.testing.runs import program, qasm2, qasm3

SOON_S = 90
BELL = qasm3("qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;")
ENDLESS = qasm3("qubit q; bit c; x q; c = measure q; while (c) { c = measure q; }")


def bell_qpy():
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    file = io.BytesIO()
    qpy.dump(circuit, file)
    return file.getvalue()


def with_byte(data, offset, value):
    return data[:offset] + bytes([value]) + data[offset + 1 :]


DOUBLING = "gate g0 a { x a; }" + "".join(f"gate g{i} a {{ g{i - 1} a; g{i - 1} a; }}" for i in range(1, 40))

REFUSED = {
    "wide by text": (b"OPENQASM 3.0;qubit[20000000] q;", QASM3, "program.too_wide", "line 1, column 14"),
    "wide by constant": (
        b"OPENQASM 3.0;const int n = 20000000;\nqubit[n] q;",
        QASM3,
        "program.too_wide",
        "line 2, column 1",
    ),
    "wide in two": (
        b"OPENQASM 3.0;qubit[200] a;\nqubit[200] b;",
        QASM3,
        "program.too_wide",
        "line 2, column 1",
    ),
    "wide in OpenQASM 2": (
        b"OPENQASM 2.0;\nqreg q[20000000];",
        QASM2,
        "program.too_wide",
        "line 2, column 1",
    ),
    "wide behind a comment": (
        b"OPENQASM 2.0;/* x */ qreg /* y */ q /*z*/ [ 20000000 ];",
        QASM2,
        "program.too_wide",
        "line 1",
    ),
    "a number of many digits": (
        b"OPENQASM 3.0;qubit[" + b"9" * 100_000 + b"] q;",
        QASM3,
        "program.too_wide",
        "line 1",
    ),
    "many bits": (b"OPENQASM 3.0;qubit q;bit[20000000] c;", QASM3, "program.too_large", "line 1, column 22"),
    "a file of ours": (
        b'OPENQASM 3.0;\ninclude "/etc/passwd";',
        QASM3,
        "program.unsupported",
        "line 2, column 1",
    ),
    "a file by another way": (
        b'OPENQASM 3.0;\ninclude /* "stdgates.inc" */ "../../../etc/passwd";',
        QASM3,
        "program.unsupported",
        "line 2, column 1",
    ),
    "a file behind a pragma": (
        b'OPENQASM 3.0;\n#pragma x /*\ninclude "/etc/passwd";\n#pragma */\nqubit q;',
        QASM3,
        "program.unsupported",
        "line 3, column 1: only 'stdgates.inc'",
    ),
    "a file behind a pragma without its sign": (
        b'OPENQASM 3.0;\npragma x /*\ninclude "/etc/passwd";\npragma */\nqubit q;',
        QASM3,
        "program.unsupported",
        "line 3, column 1: only 'stdgates.inc'",
    ),
    "a file behind an annotation": (
        b'OPENQASM 3.0;\n@x /*\ninclude "/etc/passwd";\n@x */\nqubit q;',
        QASM3,
        "program.unsupported",
        "line 3, column 1: only 'stdgates.inc'",
    ),
    "a file behind half a string": (
        b'OPENQASM 3.0;\n"\\" x" include "/no/such/file"; "";\nqubit q;',
        QASM3,
        "program.syntax",
        "line 2",
    ),
    "a file behind a string of two lines": (
        b'OPENQASM 3.0;\n"abc\n" include "/no/such/file"; "";\nqubit q;',
        QASM3,
        "program.syntax",
        "line 2",
    ),
    "a file in OpenQASM 2": (
        b"OPENQASM 2.0;\ninclude '/etc/passwd';",
        QASM2,
        "program.unsupported",
        "line 2, column 1",
    ),
    "a misspelt gate": (
        b'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit q;\n  hh q;',
        QASM3,
        "program.syntax",
        "line 4, column 3",
    ),
    "a missing semicolon": (b"OPENQASM 3.0;\nqubit q\nbit c;", QASM3, "program.syntax", "line 3"),
    "a misspelt gate in OpenQASM 2": (
        b'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\n  hh q[0];',
        QASM2,
        "program.syntax",
        "line 4, column 3",
    ),
    "more statements than anybody writes": (
        b"OPENQASM 3.0;\nqubit[2] q;\n" + b"inv @ U(0, 0, 0) q;\n" * 200_000,
        QASM3,
        "program.too_large",
        "line 200001, column 19: the program has more than 200000 statements",
    ),
    "a gate without its angle in OpenQASM 2": (
        b'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\nrx(cos(0.1)) q[0];\n  ry q[0];',
        QASM2,
        "program.syntax",
        "line 5, column 3: gate ry takes 1 parameter, not 0",
    ),
    "a gate without all of its angles in OpenQASM 2": (
        b'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[1];\nu3(pi/2, -(1+2)) q[0];',
        QASM2,
        "program.syntax",
        "line 4",
    ),
    "a lone equals in OpenQASM 2": (
        b"OPENQASM 2.0;\nqreg q[1];\ncreg c[1];\nif (c = 1) U(0,0,0) q[0];",
        QASM2,
        "program.syntax",
        "line 4, column 7: single equals",
    ),
    "an opaque gate": (
        b"OPENQASM 2.0;\nopaque secret a;\nqreg q[1];\nsecret q[0];",
        QASM2,
        "program.unsupported",
        "secret",
    ),
    "an index beyond its register": (
        b'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nh q[2];',
        QASM3,
        "program.syntax",
        "line 4, column 3: q[2] does not exist: 'q' has 2 qubits",
    ),
    "an index of a single bit": (
        b"OPENQASM 3.0;\nqubit q;\nbit c;\nc[0] = measure q;",
        QASM3,
        "program.syntax",
        "line 4, column 1: c[0] does not exist: 'c' is no register",
    ),
    "an index beyond its register in a loop": (
        b'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q;\nfor int i in [0:2] { h q[i]; }',
        QASM3,
        "program.syntax",
        "q[2] does not exist",
    ),
    "an index beyond its register in OpenQASM 2": (
        b'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\nh q[2];',
        QASM2,
        "program.syntax",
        "line 4",
    ),
    "a subroutine that calls itself": (
        b"OPENQASM 3.0;\nqubit q;\ndef f(qubit a) {\n  f(a);\n}\nf(q);",
        QASM3,
        "program.unsupported",
        "line 4, column 3: f calls itself",
    ),
    "subroutines that call more and more": (
        b"OPENQASM 3.0;\nqubit q;\n"
        b"def f0(qubit a) { U(0, 0, 0) a; }\n"
        + b"".join(b"def f%d(qubit a) { f%d(a); f%d(a); }\n" % (i, i - 1, i - 1) for i in range(1, 30))
        + b"f29(q);",
        QASM3,
        "program.too_large",
        "200000 statements",
    ),
    "a division by zero": (
        b"OPENQASM 3.0;\nconst int n = 1 / 0;\nqubit[n] q;",
        QASM3,
        "program.syntax",
        "line 2, column 15",
    ),
    "a power without end": (
        b"OPENQASM 3.0;\nconst int n = 9 ** 9 ** 9 ** 9;\nqubit[n] q;",
        QASM3,
        "program.syntax",
        "line 2",
    ),
    "a loop without end": (
        b'OPENQASM 3.0;include "stdgates.inc";qubit q;\nfor int i in [0:1000000000] { x q; }',
        QASM3,
        "program.too_large",
        "line 2",
    ),
    "nested loops without end": (
        b"OPENQASM 3.0;qubit q;\nfor int i in [0:9999] { for int j in [0:9999] { for int k in [0:9999] { } } }",
        QASM3,
        "program.too_large",
        "line 2",
    ),
    "deep nesting": (
        b"OPENQASM 3.0;qubit q;\nconst int n = " + b"(" * 20_000 + b"1" + b")" * 20_000 + b";",
        QASM3,
        "program.too_large",
        "line 2, column 215: brackets are nested more than 200 deep",
    ),
    "no measurement": (b"OPENQASM 3.0;qubit q;", QASM3, "program.unsupported", "measures nothing"),
    "an empty text": (b"", QASM3, "program.unsupported", "measures nothing"),
    "no text": (b"\xff\xfe\x00", QASM3, "program.format", "UTF-8"),
    "a NUL": (b"OPENQASM 3.0;\x00", QASM3, "program.format", "NUL"),
    "another language": (b"x", OCTETS, "program.format", "octet-stream"),
    "no QPY": (b"QISKIT", QPY, "program.format", "no QPY"),
    "old QPY": (with_byte(bell_qpy(), 6, 12), QPY, "program.format", "version 12"),
    "new QPY": (with_byte(bell_qpy(), 6, NEWEST_QPY + 1), QPY, "program.format", f"version {NEWEST_QPY + 1}"),
    "QPY of two": (with_byte(bell_qpy(), 17, 2), QPY, "program.format", "holds 2 circuits"),
    "QPY of millions of qubits": (
        with_byte(bell_qpy(), 34, 0x80),
        QPY,
        "program.too_wide",
        "8388610 qubits, the device takes 256",
    ),
    "QPY of millions of bits": (with_byte(bell_qpy(), 38, 0x80), QPY, "program.too_large", "classical bits"),
    "QPY of more registers than bytes": (with_byte(bell_qpy(), 50, 0x80), QPY, "program.format", "damaged"),
    "QPY of more instructions than bytes": (
        with_byte(bell_qpy(), 55, 0x80),
        QPY,
        "program.format",
        "damaged",
    ),
    "half a QPY": (bell_qpy()[:-40], QPY, "program.format", f"QPY data is damaged (format {NEWEST_QPY})"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_program_gets_one_error_that_says_where(ideal, what):
    data, media_type, code, where = REFUSED[what]
    error = ideal.error(program(data, media_type))
    assert error.code == code or (code is None and error.code.split(".")[0] in ("program", "agent"))
    assert where in error.message
    assert "\n" not in error.one_line()
    assert ideal.counts(BELL)


@pytest.mark.parametrize(
    "text",
    [
        qasm2(f"{DOUBLING} qreg q[1]; creg c[1];\ng39 q[0]; measure q -> c;"),
        qasm3(f"{DOUBLING} qubit q; bit c;\ng39 q; c = measure q;"),
        qasm3(f"{DOUBLING.replace('{ g', '{ inv @ g')} qubit q; g39 q; bit c = measure q;"),
    ],
)
def test_a_gate_that_doubles_with_every_line_is_refused(ideal, text):
    error = ideal.error(text)
    assert error.code == "program.too_large"
    assert "line 3, column" in error.message
    assert "gate g20 is made of more than 1000000 gates" in error.message


def test_a_gate_just_below_that_costs_memory_or_time_only_to_its_worker(make_ideal):
    device = make_ideal(memory_bytes=2 * 2**30, compile_s=8)
    calls = "g19 q[0]; " * 400
    error = device.error(
        qasm2(f"{DOUBLING.split('gate g20')[0]} qreg q[1]; creg c[1]; {calls} measure q -> c;")
    )
    assert error.code in ("agent.memory", "agent.timeout", "program.too_large", "agent.worker")
    assert device.counts(BELL)


def test_shots_that_no_message_carries_are_refused_before_they_run(ideal):
    wide = qasm3("qubit q; bit[4096] c; h q; c[0] = measure q;")
    began = []
    run = runs.run(wide, BELL, shots=10_000_000, memory=True)
    error = ideal.driver.start(run, began.append, began.append).exception(SOON_S)
    assert error.code == "limit.size"
    assert "running" not in began
    fitting = int(error.hint.split("at most ")[1].split()[0])
    assert 0.99 * RESULT_BYTES < fitting * (512 + 1) <= RESULT_BYTES
    assert ideal.counts(BELL, memory=True)


def test_a_layout_that_no_message_carries_is_one_error(ideal):
    wide = qasm3("bit[65536] c; qubit q; c[0] = measure q;")
    error = ideal.error(*[wide] * 400, shots=1)
    assert error.code == "limit.size"
    assert ideal.counts(BELL)


def test_rows_without_a_column_are_refused(ideal):
    error = ideal.error(BELL, parameters=ParameterMatrix(names=(), bindings=100_000, data=b""))
    assert error.code == "program.parameters"


def test_a_state_that_does_not_fit_is_refused_or_run_another_way(make_ideal):
    device = make_ideal(memory_bytes=2 * 2**30)
    gates = "".join(
        f"rx(0.{i + 1}) q[{i}]; cx q[{i}], q[{(i * 7 + 3) % 27}];" for i in range(27) if i != (i * 7 + 3) % 27
    )
    item = device.item(qasm3(f"qubit[27] q; bit[27] c; {gates} c = measure q;"), shots=2)
    assert dict(item.notes)["method"] == "matrix_product_state"


def test_entanglement_that_grows_beyond_memory_is_refused_before_it_runs(make_ideal):
    device = make_ideal(memory_bytes=2 * 2**30, wall_s=8)
    n = 34
    rng = random.Random(1)
    pairs = [tuple(rng.sample(range(n), 2)) for _ in range(600)]
    gates = "".join(f"rx(0.7) q[{a}]; rzz(0.9) q[{a}], q[{b}]; ry(0.3) q[{b}];" for a, b in pairs)
    error = device.error(qasm2(f"qreg q[{n}]; creg c[{n}]; {gates} measure q -> c;"), shots=10)
    assert error.code == "program.too_costly"
    assert "34 qubits" in error.message
    assert device.counts(BELL)


def test_a_program_too_large_for_the_memory_is_one_error(make_ideal):
    device = make_ideal(memory_bytes=2 * 2**30)
    gates = "rx(0.1) q[0];" * 1_100_000
    error = device.error(qasm2(f"qreg q[2]; creg c[2]; {gates} measure q -> c;"))
    # What is written in Rust ends its process where memory ends, and Python says so.
    assert error.code in ("agent.memory", "agent.worker")
    assert device.counts(BELL)


def test_damaged_qpy_never_hurts_more_than_its_worker(make_ideal):
    device = make_ideal(memory_bytes=2 * 2**30, compile_s=2)
    good = bell_qpy()
    rng = random.Random(20)
    for offset in [34, 38, *rng.sample(range(18, len(good)), 25)]:
        future = device.start(
            program(with_byte(good, offset, good[offset] ^ rng.choice([1, 0x80, 0xFF])), QPY)
        )
        error = future.exception(SOON_S)
        assert error is None or error.code.split(".")[0] in ("program", "agent")
    assert device.counts(BELL)


def test_a_run_without_end_meets_its_deadline(make_ideal):
    device = make_ideal(wall_s=1.0)
    error = device.error(ENDLESS)
    assert error.code == "agent.timeout"
    assert device.counts(BELL)


def test_a_run_without_end_meets_its_processor_limit(make_ideal):
    device = make_ideal(cpu_s=1.0)
    error = device.error(ENDLESS)
    assert error.code == "agent.timeout"
    assert "processor" in error.message
    assert device.counts(BELL)


def running(device, source):
    """Start a run, wait until it has a worker that runs it, and return (future, worker's pid, task id)."""
    began = threading.Event()
    run = runs.run(source)
    future = device.driver.start(run, lambda result: None, lambda stage: stage == "running" and began.set())
    assert began.wait(SOON_S)
    (pid,) = device.driver.pool.worker_pids
    return future, pid, run.task_id


def test_a_processor_hog_is_cancelled_at_once(ideal):
    future, pid, task_id = running(ideal, ENDLESS)
    began = time.monotonic()
    ideal.driver.stop(task_id)
    with pytest.raises(TaskCancelledError):
        future.result(SOON_S)
    print(f"cancelled after {1000 * (time.monotonic() - began):.1f} ms")
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert ideal.counts(BELL)


def test_a_worker_killed_once_has_its_job_run_again(ideal):
    future, pid, task_id = running(ideal, ENDLESS)
    psutil.Process(pid).kill()
    deadline = time.monotonic() + SOON_S
    while ideal.driver.pool.worker_pids in ((), (pid,)):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert not future.done()
    ideal.driver.stop(task_id)
    with pytest.raises(TaskCancelledError):
        future.result(SOON_S)


def test_a_worker_killed_twice_is_one_error(ideal):
    future, pid, _ = running(ideal, ENDLESS)
    killed = set()
    deadline = time.monotonic() + SOON_S
    while not future.done():
        assert time.monotonic() < deadline
        for pid in set(ideal.driver.pool.worker_pids) - killed:
            killed.add(pid)
            psutil.Process(pid).kill()
        time.sleep(0.001)
    error = future.exception()
    assert error.code == "agent.worker"
    assert "SIGKILL" in error.message
    assert ideal.counts(BELL)


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV])
def test_a_worker_that_crashes_is_one_error(ideal, number):
    future, pid, _ = running(ideal, ENDLESS)
    psutil.Process(pid).send_signal(number)
    error = future.exception(SOON_S)
    assert error.code == "agent.worker"
    assert number.name in error.message
    assert ideal.counts(BELL)


def test_a_killed_fork_server_is_replaced(make_ideal):
    device = make_ideal()
    assert device.counts(BELL)
    (server,) = [p for p in psutil.Process().children() if p.pid == device.driver.pool.server_pid]
    workers = server.children()
    server.kill()
    _, alive = psutil.wait_procs(workers, timeout=SOON_S)
    assert not alive
    assert device.counts(BELL)


def test_a_worker_writes_no_files_and_has_one_thread_of_numbers(ideal):
    _, pid, task_id = running(ideal, ENDLESS)
    worker = psutil.Process(pid)
    assert worker.environ()["OMP_NUM_THREADS"] == "1"
    assert worker.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert worker.rlimit(psutil.RLIMIT_FSIZE)[0] <= 2**20
    assert worker.rlimit(psutil.RLIMIT_AS)[0] == 4 * 2**30
    ideal.driver.stop(task_id)
