"""What is read from a result, for both shells' handles: joint counts, those of one register, shots, rows. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from math import sqrt
from typing import Any

from qmio_jupyter.display.about import About, values_of
from qmio_jupyter.errors import TaskError, UsageError
from qmio_jupyter.model.parity import Expectation, expectation, parse
from qmio_jupyter.model.result import ItemResult, Register, TaskResult, marginal, outcomes, shot_memory

#: Columns of `records` that are always there, in order.
COLUMNS = ("item", "binding", "outcome", "count", "shots", "share", "error")


def counts_of(
    result: TaskResult, item: int = 0, binding: int = 0, register: str | None = None
) -> list[tuple[str, int]]:
    """Return ``[(bitstring, count), ...]`` of one item and binding, ordered by bitstring value.

    Parameters
    ----------
    register : str, optional
        Only the bits of this classical register, whatever the others were; all of them, joint, when None.

    Raises
    ------
    TaskError
        If there is no such item or binding.
    UsageError
        If there is no such register.
    """
    found = _item(result, item, binding)
    return (
        outcomes(found, binding) if register is None else marginal(found, _register(found, register), binding)
    )


def memory_of(result: TaskResult, item: int = 0, binding: int = 0, register: str | None = None) -> list[str]:
    """Return the bitstring of each shot of one item and binding, in order of execution.

    Raises
    ------
    TaskError
        If there is no such item or binding.
    UsageError
        If the task was not asked to keep its shots, or there is no such register.
    """
    found = _item(result, item, binding)
    registers = None if register is None else (_register(found, register),)
    shots = shot_memory(found, binding, registers)
    if shots is None:
        raise UsageError(
            f"task {result.task_id} did not keep its single shots", hint="Run it again with --memory."
        )
    return shots


def expectation_of(result: TaskResult, parity: str, item: int = 0, binding: int = 0) -> Expectation:
    """Return the mean of a product of Z over the shots of one binding, and its standard error.

    Raises
    ------
    TaskError
        If there is no such item or binding.
    UsageError
        If `parity` is none, or names a bit that is not there; see :func:`qmio_jupyter.model.parity.parse`.
    """
    return expectation(parse(parity), _item(result, item, binding), binding)


def records_of(result: TaskResult, about: About) -> list[dict[str, Any]]:
    """Return a row for every outcome of every item and binding.

    Each has `COLUMNS` (`share` is count over shots, `error` its binomial standard error) and a column for each
    parameter whose value is known; one whose name is taken has ``_`` after it.
    """
    return list(_rows(result, about))


def _rows(result: TaskResult, about: About) -> Iterator[dict[str, Any]]:
    for index, item in enumerate(result.items):
        for binding in range(len(item.bindings)):
            pairs = outcomes(item, binding)
            shots = sum(count for _, count in pairs)
            values = {
                f"{name}_" if name in COLUMNS else name: value
                for name, value in values_of(about, index, binding)
            }
            for bits, count in pairs:
                share = count / shots
                yield {
                    "item": index,
                    "binding": binding,
                    **values,
                    "outcome": bits,
                    "count": count,
                    "shots": shots,
                    "share": share,
                    "error": sqrt(share * (1 - share) / shots),
                }


def dataframe_of(result: TaskResult, about: About) -> Any:
    """Return `records_of` as a pandas DataFrame.

    Raises
    ------
    UsageError
        If pandas is not installed.
    """
    try:
        pandas: Any = import_module("pandas")
    except ImportError:
        raise UsageError(
            "pandas is not installed, so there is no DataFrame to make",
            hint="Install pandas, or use .records(): the same rows as a list of dicts.",
        ) from None
    return pandas.DataFrame(records_of(result, about))


def _register(item: ItemResult, name: str) -> Register:
    for register in item.registers:
        if register.name == name and name:
            return register
    known = ", ".join(register.name for register in item.registers if register.name)
    raise UsageError(
        f"the program has no classical register {name!r}",
        hint=f"Registers: {known}." if known else "It has single bits only: use the joint counts.",
    )


def _item(result: TaskResult, item: int, binding: int) -> ItemResult:
    """Return an item that has this binding."""
    try:
        found = result.items[item]
        found.bindings[binding]
    except IndexError:
        raise TaskError(
            f"task {result.task_id} has no item {item} with binding {binding}",
            hint=f"It has {len(result.items)} items.",
        ) from None
    return found
