"""Calibrations at hand: a Qmio-like device of our own, and IBM Fez where Qiskit's runtime client is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final

from qmio_jupyter.calibration.documents import load, shorten
from qmio_jupyter.calibration.form import from_form
from qmio_jupyter.calibration.ibm import from_ibm
from qmio_jupyter.calibration.record import DeviceRecord
from qmio_jupyter.errors import ConfigError

#: The package whose fake backends hold the data of Fez, and our extra that installs it.
_RUNTIME: Final = "qiskit_ibm_runtime"
_EXTRA: Final = "pip install 'qmio_jupyter[fez]'"


def sample(name: str) -> DeviceRecord:
    """Return a sample's record.

    Parameters
    ----------
    name : str
        ``qmio``: 32 qubits with Qmio's topology and values made up to be like a real device's, dirty ones included.
        ``fez``: IBM's 156-qubit Fez, from the data inside ``qiskit-ibm-runtime`` (which is not imported).

    Raises
    ------
    ConfigError
        ``config`` for another name, or for ``fez`` without that package.
    """
    reader = _SAMPLES.get(name)
    if reader is None:
        raise ConfigError(
            f"there is no sample calibration {shorten(name)!r}", hint=f"There are: {', '.join(SAMPLES)}."
        )
    return reader()


def is_available(name: str) -> bool:
    """Return whether `sample` has this one here."""
    return name in _SAMPLES and (name != "fez" or _fez_folder() is not None)


@cache
def _qmio() -> DeviceRecord:
    file = files("qmio_jupyter.calibration.samples") / "qmio.json"
    where = "the sample calibration 'qmio'"
    return from_form(load(file.read_bytes(), name=where).content, where)


@cache
def _fez() -> DeviceRecord:
    folder = _fez_folder()
    if folder is None:
        raise ConfigError(
            "the sample calibration 'fez' is inside the package qiskit-ibm-runtime, which is not installed",
            hint=f"Install it: {_EXTRA}",
        )
    return from_ibm(load(folder / "conf_fez.json"), load(folder / "props_fez.json"))


def _fez_folder() -> Path | None:
    # Looked up, not imported: importing takes seconds and the agent's process must stay free of Qiskit.
    found = find_spec(_RUNTIME)
    for root in (found.submodule_search_locations or ()) if found else ():
        folder = Path(root) / "fake_provider" / "backends" / "fez"
        if (folder / "props_fez.json").is_file():
            return folder
    return None


_SAMPLES: Final[MappingProxyType[str, Callable[[], DeviceRecord]]] = MappingProxyType(
    {"qmio": _qmio, "fez": _fez}
)
#: Names `sample` knows.
SAMPLES: Final = tuple(_SAMPLES)
