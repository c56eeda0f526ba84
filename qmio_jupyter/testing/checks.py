"""What must hold in every world, judged from outside: from the ledger, packets and runs.

The invariants of the core's own memory are `core.invariants`; these here do not trust that memory.
"""

from __future__ import annotations


class Violation(AssertionError):  # noqa: N818 - it is no error of the tree, and says what it is
    """Something happened that must never happen; `rule` names which promise was broken."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule
        self.message = message

    def __reduce__(self) -> tuple[type[Violation], tuple[str, str]]:
        """Carry it whole from a worker process to its parent."""
        return type(self), (self.rule, self.message)
