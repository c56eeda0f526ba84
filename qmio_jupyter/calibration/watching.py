"""A calibration that may become another one while a device runs: a file that is replaced, a new day's file.

Whoever holds one asks from time to time. A file is read again only if it is another one, so that asking is cheap;
what cannot be used is said once, and the last good record stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from qmio_jupyter.calibration.checks import wrong
from qmio_jupyter.calibration.read import newest, read_calibration
from qmio_jupyter.calibration.record import DeviceRecord
from qmio_jupyter.calibration.samples import SAMPLES, sample
from qmio_jupyter.errors import ConfigError


class _Version(NamedTuple):
    """What tells one state of a file from another."""

    path: Path
    inode: int
    size: int
    modified_ns: int


class WatchedCalibration:
    """Where a device's calibration comes from.

    Parameters
    ----------
    name : str
        A sample's name, or the path of a file or directory as `read_calibration` takes it.

    Attributes
    ----------
    record : DeviceRecord
        The last one that could be used.
    problem : str
        Why the newest one cannot be used, in one line; empty where `record` is the newest.

    Raises
    ------
    ConfigError
        If the first one cannot be used.
    """

    def __init__(self, name: str) -> None:
        self._source = None if name in SAMPLES else Path(name).expanduser()
        self._seen: _Version | None = None
        self.problem = ""
        if self._source is None:
            self.record = sample(name)
        else:
            self._seen = _version(self._source)
            self.record = read_calibration(self._source)

    def look(self) -> bool:
        """Look whether there is another calibration; return whether `record` is a new one.

        One that cannot be used is a `problem`, and `record` stays: a broken file, one of another device (other
        qubits or native gates), or one taken before the present one.
        """
        if self._source is None:
            return False
        # Looked at before it is read: what is written in between is another version the next time.
        version = _version(self._source)
        if version == self._seen:
            return False
        self._seen = version
        try:
            found = read_calibration(self._source)
            self._check(found, self._source if version is None else version.path)
        except ConfigError as problem:
            self.problem = problem.one_line()
            return False
        self.problem = ""
        is_new = found != self.record
        self.record = found
        return is_new

    def _check(self, found: DeviceRecord, path: Path) -> None:
        now = self.record
        if (found.n_qubits, found.native_gates) != (now.n_qubits, now.native_gates):
            raise wrong(
                str(path),
                "it is of another device, with other qubits or native gates",
                "Start the agent again if this is meant.",
            )
        if found.taken_ms < now.taken_ms:
            raise wrong(
                str(path),
                "it was taken before the calibration in use",
                "Take a new one, or give it a later date, to go back to its values.",
            )


def _version(source: Path) -> _Version | None:
    """Return which file a source is now, and in which state; None if there is none that can be looked at."""
    try:
        path = newest(source) if source.is_dir() else source
        facts = path.stat()
    except (OSError, ValueError, ConfigError):
        return None
    return _Version(path, facts.st_ino, facts.st_size, facts.st_mtime_ns)
