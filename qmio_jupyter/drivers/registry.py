"""Finding drivers by name, through entry points of group ``qmio_jupyter.drivers``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from qmio_jupyter.errors import ConfigError, QmioError
from qmio_jupyter.ports import DeviceDriver

GROUP = "qmio_jupyter.drivers"


def known() -> tuple[str, ...]:
    """Return the names of the drivers that are installed, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def make(driver: str, device: str, options: Mapping[str, str]) -> DeviceDriver:
    """Return the driver named `driver`, hosting `device`.

    Raises
    ------
    ConfigError
        If there is no such driver, if what it needs is not installed, or if it refuses its options.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if driver not in points:
        raise ConfigError(
            f"no driver {driver!r} is installed", hint=f"Installed are: {', '.join(sorted(points))}."
        )
    try:
        made: DeviceDriver = points[driver].load()(device, options)
    except ImportError as problem:
        raise ConfigError(
            f"driver {driver!r} needs {problem.name or problem}, which is not installed",
            hint="pip install 'qmio_jupyter[sim]'",
        ) from problem
    except QmioError:
        raise
    return made
