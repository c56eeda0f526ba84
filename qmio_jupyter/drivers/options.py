"""Options of drivers and tasks: strings from a settings file or a cell, read with a clear error each."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qmio_jupyter.errors import ConfigError, DeviceError, ProgramError, QmioError
from qmio_jupyter.model.task import ParameterMatrix


class Options:
    """A mapping of strings that knows what it may hold.

    Parameters
    ----------
    values : mapping
        The options as given.
    known : tuple of str
        Every name that may appear.
    device : str
        Named in errors.
    is_user : bool
        True for a task's ``device_options`` (`DeviceError`), False for settings (`ConfigError`).

    Raises
    ------
    DeviceError
        ``device.option`` for an unknown name or a value that cannot be read, in a task.
    ConfigError
        The same, in settings.
    """

    def __init__(
        self, values: Mapping[str, str], known: tuple[str, ...], device: str, *, is_user: bool = False
    ) -> None:
        self._values = dict(values)
        self._device = device
        self._is_user = is_user
        for name in self._values:
            if name not in known:
                raise self._wrong(
                    f"device {device!r} knows no option {name!r}",
                    f"It knows: {', '.join(known)}." if known else "It knows none.",
                )

    def text(self, name: str, default: str = "", *, among: tuple[str, ...] = ()) -> str:
        """Return an option's text, one of `among` if given."""
        value = self._values.get(name, default)
        if among and value not in among:
            raise self._wrong(
                f"option {name}={value!r} of {self._device!r} is not accepted", f"Use {' or '.join(among)}."
            )
        return value

    def number(self, name: str, default: float, *, at_least: float = 0.0, at_most: float = math.inf) -> float:
        """Return a finite number between the bounds."""
        text = self._values.get(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and at_least <= value <= at_most):
            raise self._wrong(
                f"option {name}={text!r} of {self._device!r} is not a number "
                f"from {at_least:g} to {at_most:g}",
                "Correct it.",
            )
        return value

    def integer(self, name: str, default: int, *, at_least: int = 0, at_most: int = 2**63 - 1) -> int:
        """Return a whole number between the bounds."""
        text = self._values.get(name)
        if text is None:
            return default
        value = int(text) if text.strip().lstrip("+-").isdecimal() else None
        if value is None or not at_least <= value <= at_most:
            raise self._wrong(
                f"option {name}={text!r} of {self._device!r} is not a whole number "
                f"from {at_least} to {at_most}",
                "Correct it.",
            )
        return value

    def flag(self, name: str, *, default: str = "no") -> bool:
        """Return whether a yes-or-no option is on; absent means `default`."""
        return self.text(name, default, among=("yes", "no", "true", "false", "1", "0")) in (
            "yes",
            "true",
            "1",
        )

    def _wrong(self, message: str, hint: str) -> QmioError:
        if self._is_user:
            return DeviceError(message, hint=hint, code="device.option")
        return ConfigError(message, hint=hint)


def check_rows(matrix: ParameterMatrix) -> None:
    """Refuse many rows without a column: a few bytes that would stand for any number of runs.

    Raises
    ------
    ProgramError
        ``program.parameters``.
    """
    if not matrix.names and matrix.bindings > 1:
        raise ProgramError(
            f"the parameters have {matrix.bindings} rows and no column",
            hint="Leave them out, or ask for more shots.",
            code="program.parameters",
        )
