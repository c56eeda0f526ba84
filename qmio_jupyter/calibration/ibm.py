"""IBM's pair of files: a backend's configuration and its properties, as their clients store them.

The configuration says what the device is (qubits, gates, control flow, dt in nanoseconds), the properties what was
measured on it, each value with its unit. Gates that the configuration's basis does not offer are left out; gates
and qubits reported as not operational become dead gates (error 1).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from qmio_jupyter.calibration.checks import CONTROL_FLOW, check
from qmio_jupyter.calibration.documents import Document, Section, shift, shorten
from qmio_jupyter.calibration.record import DeviceRecord, Gate, Qubit

#: By how many decimal places each unit of the properties is away from SI.
_PLACES: Final = {
    "": 0,
    "s": 0,
    "ms": -3,
    "us": -6,
    "µs": -6,
    "ns": -9,
    "Hz": 0,
    "kHz": 3,
    "MHz": 6,
    "GHz": 9,
}
_NOT_UNITARY: Final = ("delay", "reset")


def is_properties(content: object) -> bool:
    """Return whether a decoded document looks like a backend's properties."""
    return isinstance(content, dict) and {"qubits", "gates", "last_update_date"} <= content.keys()


def is_configuration(content: object) -> bool:
    """Return whether a decoded document looks like a backend's configuration."""
    return isinstance(content, dict) and {"basis_gates", "n_qubits"} <= content.keys()


def from_ibm(configuration: Document, properties: Document, *, source: str | None = None) -> DeviceRecord:
    """Return the record of a backend.

    Parameters
    ----------
    configuration, properties : Document
        The decoded files.
    source : str, optional
        What the record says of where it comes from; the backend's name and version when None.

    Raises
    ------
    ConfigError
        ``config.calibration``, with the place, for files that do not belong together or cannot be right.
    """
    conf = Section(configuration.name, "", configuration.content)
    props = Section(properties.name, "", properties.content)
    if conf.get("backend_name") != props.get("backend_name"):
        props.refuse(
            f"the properties of {shorten(props.text('backend_name'))!r} beside the configuration of "
            f"{shorten(conf.text('backend_name'))!r}"
        )
    n_qubits = conf.whole("n_qubits")
    rows = props.items("qubits")
    if len(rows) != n_qubits:
        props.refuse(f"{len(rows)} qubits where {configuration.name} has {n_qubits}")
    measured = [_parameters(props, row, f"qubits[{index}]") for index, row in enumerate(rows)]
    dead = {index for index, values in enumerate(measured) if values.get("operational") == 0}
    basis = {*_texts(conf, "basis_gates"), *_NOT_UNITARY} & {
        *_texts(conf, "basis_gates"),
        *_texts(conf, "supported_instructions"),
    }
    gates = [
        replace(gate, error=1.0) if dead & set(gate.qubits) else gate
        for gate in _gates(props)
        if gate.name in basis
    ]
    measured_names = {gate.name for gate in gates}
    for name in _NOT_UNITARY:
        if name in basis and name not in measured_names:
            gates += [Gate(name=name, qubits=(index,)) for index in range(n_qubits) if index not in dead]
    return check(
        DeviceRecord(
            source=source or f"{props.text('backend_name')} {props.text('backend_version')}",
            taken_ms=_ms(props),
            dt_s=_dt(conf),
            qubits=tuple(_qubit(values) for values in measured),
            gates=tuple(gates),
            control_flow=tuple(sorted(CONTROL_FLOW & set(_texts(conf, "supported_instructions")))),
        ),
        properties.name,
    )


def _qubit(values: dict[str, float]) -> Qubit:
    both = values.get("readout_error")
    return Qubit(
        t1_s=values.get("T1"),
        t2_s=values.get("T2"),
        frequency_hz=values.get("frequency"),
        readout_s=values.get("readout_length"),
        prob_meas1_prep0=values.get("prob_meas1_prep0", both),
        prob_meas0_prep1=values.get("prob_meas0_prep1", both),
    )


def _gates(props: Section) -> list[Gate]:
    gates: list[Gate] = []
    for index, item in enumerate(props.items("gates")):
        section = props.of(f"gates[{index}]", item)
        values = _parameters(props, section.items("parameters"), section.place)
        gates.append(
            Gate(
                name=section.text("gate"),
                qubits=section.wholes("qubits"),
                duration_s=values.get("gate_length"),
                error=1.0 if values.get("operational") == 0 else values.get("gate_error"),
            )
        )
    return gates


def _parameters(props: Section, rows: object, place: str) -> dict[str, float]:
    """Return a list of named, dated values with units as values in SI by name; null is not known."""
    if not isinstance(rows, list):
        props.refuse(f"{place} is no list")
    values: dict[str, float] = {}
    for position, row in enumerate(rows):
        section = props.of(f"{place}[{position}]", row)
        value = section.number("value")
        if value is None:
            continue
        unit = section.text("unit") if "unit" in section else ""
        places = _PLACES.get(unit)
        if places is None:
            section.refuse(f"{section.place}: unit {shorten(unit)!r} is not known")
        values[section.text("name")] = shift(value, places)
    return values


def _texts(section: Section, name: str) -> list[str]:
    if name not in section:
        return []
    return [value for value in section.items(name) if isinstance(value, str)]


def _ms(props: Section) -> int:
    text = props.text("last_update_date")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        props.refuse(f"'last_update_date' {shorten(text)!r} is no date with a time zone")
    return round(moment.timestamp() * 1000)


def _dt(conf: Section) -> float:
    value = conf.number("dt")
    if value is None:
        conf.refuse("'dt' is missing: the length of one sample, in nanoseconds")
    return shift(value, _PLACES["ns"])
