"""Our own form of a calibration: one JSON object that holds everything a record holds, in SI units.

The data of a snapshot is this form in canonical JSON with the device's name; a calibration file in this form may
be laid out as its author likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from qmio_jupyter.calibration.checks import check
from qmio_jupyter.calibration.documents import Section, kind
from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit

#: What ``"format"`` says in every document of this form.
FORMAT: Final = "qmio-calibration"
#: The version written, and the newest read.
VERSION: Final = 1

_TOP: Final = ("format", "version", "device", "source", "taken_ms", "dt_s", "control_flow", "qubits", "gates")
_QUBIT: Final = tuple(field.name for field in fields(Qubit))
_GATE: Final = tuple(field.name for field in fields(Gate))
_GATE_NUMBERS: Final = tuple(name for name in _GATE if name not in ("name", "qubits"))


def to_form(record: DeviceRecord, device: str | None = None) -> dict[str, object]:
    """Return the record as a JSON object; what is not known is left out.

    Parameters
    ----------
    record : DeviceRecord
        The record.
    device : str, optional
        Name of the device, for a snapshot's data.
    """
    form: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "source": record.source,
        "taken_ms": record.taken_ms,
        "dt_s": record.dt_s,
        "control_flow": list(record.control_flow),
        "qubits": [_known(qubit, _QUBIT) for qubit in record.qubits],
        "gates": [
            {"name": gate.name, "qubits": list(gate.qubits), **_known(gate, _GATE_NUMBERS)}
            for gate in record.gates
        ],
    }
    if device is not None:
        form["device"] = device
    return form


def from_form(content: object, where: str) -> DeviceRecord:
    """Return the record that a document of this form describes.

    Parameters
    ----------
    content : object
        The decoded document.
    where : str
        Its name, for errors.

    Raises
    ------
    ConfigError
        ``config.calibration`` for another format, a newer version, a member that is missing, unknown or of another
        type, and for a record that fails `checks.check`.
    """
    top = Section(where, "", content)
    if top.get("format") != FORMAT:
        top.refuse(f"'format' is {kind(top.get('format'))}, not {FORMAT!r}")
    if (version := top.whole("version")) != VERSION:
        top.refuse(
            f"version {version} of the form is not known; this software reads {VERSION}",
            "Update the software, or write the version it reads.",
        )
    top.known_only(*_TOP)
    record = DeviceRecord(
        source=top.text("source"),
        taken_ms=top.whole("taken_ms"),
        dt_s=_dt(top),
        qubits=tuple(
            Qubit(**_numbers(top.of(f"qubits[{index}]", item), _QUBIT, _QUBIT))
            for index, item in enumerate(top.items("qubits"))
        ),
        gates=tuple(_gate(top.of(f"gates[{index}]", item)) for index, item in enumerate(top.items("gates"))),
        control_flow=_control_flow(top),
    )
    return check(record, where)


def _gate(section: Section) -> Gate:
    numbers = _numbers(section, _GATE_NUMBERS, _GATE)
    return Gate(name=section.text("name"), qubits=section.wholes("qubits"), **numbers)


def _numbers(section: Section, wanted: tuple[str, ...], known: tuple[str, ...]) -> dict[str, float | None]:
    section.known_only(*known)
    return {name: section.number(name) for name in wanted if name in section}


def _dt(top: Section) -> float:
    value = top.number("dt_s")
    if value is None:
        top.refuse("'dt_s' is missing: the length of one sample, in seconds")
    return value


def _control_flow(top: Section) -> tuple[str, ...]:
    if "control_flow" not in top:
        return ()
    found = top.items("control_flow")
    for value in found:
        if not isinstance(value, str):
            top.refuse(f"'control_flow' holds {kind(value)}, not texts only")
    return tuple(str(value) for value in found)


def _known(value: Qubit | Gate, names: tuple[str, ...]) -> Mapping[str, object]:
    return {name: found for name in names if (found := getattr(value, name)) is not None}
