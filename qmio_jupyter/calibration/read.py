"""Read a calibration, whatever shape it comes in: our own form, Qmio's files, IBM's pair; a file or a directory."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from qmio_jupyter.calibration.checks import wrong
from qmio_jupyter.calibration.documents import Document, load
from qmio_jupyter.calibration.form import FORMAT, from_form
from qmio_jupyter.calibration.ibm import from_ibm, is_configuration, is_properties
from qmio_jupyter.calibration.qmio import from_qmio, is_qmio
from qmio_jupyter.calibration.record import DeviceRecord
from qmio_jupyter.errors import ConfigError

#: Qmio's files of one day, of which the newest by name is the current one.
DAILY: Final = "????_??_??__??_??_??.json"

_DATE: Final = re.compile(r"(\d{4})[_-](\d\d)[_-](\d\d)(?:__(\d\d)_(\d\d)_(\d\d))?")


def read_calibration(
    source: Path | bytes,
    *,
    configuration: Path | bytes | None = None,
    taken_ms: int | None = None,
) -> DeviceRecord:
    """Return the record that a calibration holds.

    Parameters
    ----------
    source : Path or bytes
        A file in our own form, one of Qmio's (current or older shape), or an IBM backend's properties; or a
        directory: then the newest of Qmio's daily files in it is read, by name.
    configuration : Path or bytes, optional
        The configuration that belongs to an IBM backend's properties. When None and `source` is a file
        ``props_NAME.json``, it is ``conf_NAME.json`` beside it.
    taken_ms : int, optional
        When it was measured (milliseconds since the Unix epoch), for Qmio's files, which do not say. When None it is
        the date in the file's name (UTC), or else the time the file was last written.

    Raises
    ------
    ConfigError
        ``config.file`` for a file that cannot be read; ``config.calibration``, with file and place, for one that is
        broken, partial, or of no known shape.
    """
    if isinstance(source, Path) and source.is_dir():
        source = newest(source)
    document = load(source)
    content = document.content
    if isinstance(content, dict) and "format" in content:
        return from_form(content, document.name)
    if is_qmio(content):
        return from_qmio(document, source="Qmio calibration file", taken_ms=_taken_ms(document, taken_ms))
    if is_properties(content):
        return from_ibm(_configuration(document, configuration), document)
    if is_configuration(content):
        raise wrong(
            document.name,
            "the configuration of a backend, without its properties",
            "Give the file of its properties.",
        )
    raise wrong(
        document.name,
        "no calibration of a known shape",
        f'Known are our own ("format": "{FORMAT}"), Qmio\'s ("Qubits") and the properties of an IBM backend.',
    )


def newest(directory: Path) -> Path:
    """Return the newest of Qmio's daily files in a directory, by name: a copied file keeps its name, not its time.

    Raises
    ------
    ConfigError
        ``config.file`` if there is none.
    """
    found = sorted(path for path in directory.glob(DAILY) if _date(path.name) is not None)
    if not found:
        raise ConfigError(
            f"{directory} holds no calibration file YYYY_MM_DD__hh_mm_ss.json",
            hint="Give the path of a calibration file.",
            code="config.file",
        )
    return found[-1]


def _configuration(properties: Document, given: Path | bytes | None) -> Document:
    if given is None:
        path = properties.path
        if path is None or not path.name.startswith("props_"):
            raise wrong(
                properties.name,
                "the properties of a backend, without its configuration",
                "Name them props_NAME.json and conf_NAME.json, in one directory.",
            )
        given = path.with_name(f"conf_{path.name.removeprefix('props_')}")
    document = load(given, name="the configuration")
    if not is_configuration(document.content):
        raise wrong(
            document.name, "no backend's configuration", "Give the one that belongs to the properties."
        )
    return document


def _taken_ms(document: Document, given: int | None) -> int:
    if given is not None:
        return given
    named = _date(document.path.name) if document.path is not None else None
    taken = document.modified_ms if named is None else named
    if taken is None:
        raise wrong(document.name, "it does not say when it was measured", "Give the time with it.")
    return taken


def _date(name: str) -> int | None:
    """Return the moment in a file's name, ms since the Unix epoch; None if there is none."""
    match = _DATE.search(name)
    if match is None:
        return None
    try:
        moment = datetime(*(int(part or 0) for part in match.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        return None
    return round(moment.timestamp() * 1000)
