"""What an experimenter measures on the emulated device is what its calibration says: T1, T2, readout."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from qmio_jupyter.testing.runs import qasm3
from qmio_jupyter.testing.samples_of import numbered_counts

SHOTS = 20_000
#: Waiting times in units of the time that is measured.
WAITS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


def qubits(device, usable):
    """Return three qubits far from each other in quality, of those that `usable` takes."""
    known = [index for index, qubit in enumerate(device.record.qubits) if usable(qubit)]
    known.sort(key=lambda index: device.record.qubits[index].t1_s)
    return known[len(known) // 6], known[len(known) // 2], known[-2]


def readable(qubit):
    """Whether the readout tells 0 from 1 well enough to fit a decay."""
    return 1 - qubit.prob_meas1_prep0 - qubit.prob_meas0_prep1 > 0.5


def excited(item):
    return numbered_counts(item).get(1, 0) / item.bindings[0].shots


def decay_time(waits_s, values):
    """Return the time constant of a decay with free amplitude and offset, seconds."""

    def decay(wait, time, amplitude, offset):
        return offset + amplitude * np.exp(-wait / time)

    guess = (waits_s[len(waits_s) // 2], values[0] - values[-1], values[-1])
    return curve_fit(decay, waits_s, values, p0=guess)[0][0]


def waited(qubit, seconds, before, after, echo):
    delay = f"delay[wait / 2] ${qubit};"
    declared = f"const duration wait = {1e6 * seconds:.4f}us; bit c;"
    return qasm3(f"{declared} {before} {delay} {echo} {delay} {after} c = measure ${qubit};")


@pytest.mark.parametrize("which", ["qmio", "fez"])
def test_t1(request, which):
    device = request.getfixturevalue(which)
    chosen = qubits(device, readable)
    programs, waits = [], []
    for qubit in chosen:
        for wait in WAITS:
            waits.append(wait * device.record.qubits[qubit].t1_s)
            programs.append(waited(qubit, waits[-1], f"x ${qubit};", "", ""))
    values = [excited(item) for item in device.items(*programs, isa=True, shots=SHOTS, seed=5)]
    for index, qubit in enumerate(chosen):
        part = slice(index * len(WAITS), (index + 1) * len(WAITS))
        found = decay_time(np.array(waits[part]), np.array(values[part]))
        assert found == pytest.approx(device.record.qubits[qubit].t1_s, rel=0.1)


@pytest.mark.parametrize("which", ["qmio", "fez"])
def test_t2_by_echo(request, which):
    device = request.getfixturevalue(which)
    chosen = qubits(device, lambda qubit: readable(qubit) and qubit.t2_s < 2 * qubit.t1_s)
    programs, waits = [], []
    for qubit in chosen:
        for wait in WAITS:
            waits.append(wait * device.record.qubits[qubit].t2_s)
            programs.append(waited(qubit, waits[-1], f"sx ${qubit};", f"sx ${qubit};", f"x ${qubit};"))
    values = [excited(item) for item in device.items(*programs, isa=True, shots=SHOTS, seed=6)]
    for index, qubit in enumerate(chosen):
        part = slice(index * len(WAITS), (index + 1) * len(WAITS))
        found = decay_time(np.array(waits[part]), np.array(values[part]))
        assert found == pytest.approx(device.record.qubits[qubit].t2_s, rel=0.1)


def test_a_t2_above_the_bound_is_measured_as_the_bound_and_said(qmio):
    qubit = next(
        index
        for index, known in enumerate(qmio.record.qubits)
        if readable(known) and known.t2_s > 2 * known.t1_s
    )
    bound = 2 * qmio.record.qubits[qubit].t1_s
    waits = [wait * bound for wait in WAITS]
    programs = [waited(qubit, wait, f"sx ${qubit};", f"sx ${qubit};", f"x ${qubit};") for wait in waits]
    items = qmio.items(*programs, isa=True, shots=SHOTS, seed=7)
    found = decay_time(np.array(waits), np.array([excited(item) for item in items]))
    assert found == pytest.approx(bound, rel=0.1)
    assert f"qubit {qubit}" in dict(items[-1].notes)["t2_capped"]


@pytest.mark.parametrize("which", ["qmio", "fez"])
def test_readout_in_both_directions(request, which):
    device = request.getfixturevalue(which)
    chosen = qubits(device, lambda qubit: qubit.prob_meas1_prep0 is not None)
    programs = [qasm3(f"bit c; c = measure ${qubit};") for qubit in chosen]
    programs += [qasm3(f"bit c; x ${qubit}; c = measure ${qubit};") for qubit in chosen]
    values = [excited(item) for item in device.items(*programs, isa=True, shots=SHOTS, seed=8)]
    for qubit, ground, turned in zip(chosen, values[:3], values[3:], strict=True):
        known = device.record.qubits[qubit]
        error = next(g.error or 0.0 for g in device.record.gates if g.name == "x" and g.qubits == (qubit,))
        deviation = (0.25 / SHOTS) ** 0.5
        assert ground == pytest.approx(known.prob_meas1_prep0, abs=5 * deviation)
        # The x before it fails as often as its calibration says, at most by half as much again per state.
        assert turned == pytest.approx(1 - known.prob_meas0_prep1, abs=5 * deviation + 1.5 * error)


def test_a_program_that_names_the_devices_qubits_stays_on_them(qmio):
    """Not compiled by its user, and still an experiment on these qubits: their readout errors differ."""
    ends = sorted(range(qmio.record.n_qubits), key=lambda index: qmio.record.qubits[index].prob_meas1_prep0)
    chosen = (ends[0], ends[-1])
    items = qmio.items(*(qasm3(f"bit c; c = measure ${qubit};") for qubit in chosen), shots=SHOTS, seed=9)
    for qubit, item in zip(chosen, items, strict=True):
        expected = qmio.record.qubits[qubit].prob_meas1_prep0
        assert excited(item) == pytest.approx(expected, abs=5 * (0.25 / SHOTS) ** 0.5)
