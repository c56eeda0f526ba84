"""Batches and their seeds, derived from (seed, item, binding, batch): the same task, the same result."""

from __future__ import annotations

import hashlib


def batch_seed(seed: int, item: int, binding: int, batch: int) -> int:
    """Return the seed, 0 .. 2**63-1, of one batch of one binding of one item.

    Examples
    --------
    >>> batch_seed(7, 0, 0, 0) == batch_seed(7, 0, 0, 0) != batch_seed(7, 0, 0, 1)
    True
    """
    text = f"qmio-batch:{seed}:{item}:{binding}:{batch}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def batches(shots: int, batch_shots: int) -> list[int]:
    """Return the shots of each batch: all `batch_shots`, but the last, which has what is left."""
    whole, rest = divmod(shots, batch_shots)
    return [batch_shots] * whole + ([rest] if rest else [])
