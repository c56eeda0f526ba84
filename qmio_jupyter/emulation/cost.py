"""What each method of simulation would take for a circuit: seconds and bytes."""

from __future__ import annotations

import msgspec

from qmio_jupyter.emulation.survey import Facts

_AMPLITUDE_BYTES = 16
_FIXED_BYTES = 2**20


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Prediction for one method.

    Attributes
    ----------
    method, form : str
        See `method.Choice`.
    rank : int
        0 for what is exact, more for what leaves something out; the lowest that fits is taken.
    once_s, per_binding_s, per_shot_s : float
        Seconds on the machine of the constants: once, for each binding, for each shot of each binding.
    memory_bytes : int
        Bytes at the same time.
    order : tuple of int
        See `method.Choice`.
    """

    method: str
    form: str
    rank: int
    once_s: float
    per_binding_s: float
    per_shot_s: float
    memory_bytes: int
    order: tuple[int, ...] = ()

    def seconds(self, shots: int, bindings: int = 1) -> float:
        """Return seconds for `bindings` times `shots` shots."""
        return self.once_s + bindings * (self.per_binding_s + shots * self.per_shot_s)


def estimates(facts: Facts, *, noisy: bool) -> tuple[Estimate, ...]:
    """Return a prediction for every method that can take the circuit."""
    n = facts.active_qubits
    operations = facts.one_qubit + facts.two_qubit + facts.wider + 1
    vector = min(2.0**n * operations * 4e-9 + operations * 1e-6, 1e30)
    state = _AMPLITUDE_BYTES << min(n, 200)
    found = []
    if noisy:
        if n <= 11:
            once = 4.0**n * operations * 1e-8 + 1e-3
            found.append(_estimate("density_matrix", "baked", 0, once, facts, _AMPLITUDE_BYTES << 2 * n))
        found.append(_sampled("statevector", "unravelled", vector, state))
    else:
        found.append(_estimate("statevector", "ideal", 0, vector, facts, state))
    if facts.is_clifford:
        each = operations * 1e-7
        found.append(_sampled("stabilizer", "twirled" if noisy else "ideal", each, n * n // 2))
    each = operations * 1e-5
    order = tuple(range(n))
    if noisy:
        found.append(_sampled("matrix_product_state", "unravelled", each, n * 4096, order))
    else:
        found.append(_estimate("matrix_product_state", "ideal", 0, each, facts, n * 4096))
    return tuple(found)


def _estimate(method: str, form: str, rank: int, once: float, facts: Facts, memory: int) -> Estimate:
    """Return the prediction for a state that is made once, or for every shot of a dynamic circuit."""
    return Estimate(
        method=method,
        form=form,
        rank=rank,
        once_s=1e-3,
        per_binding_s=0.0 if facts.is_dynamic else once,
        per_shot_s=once if facts.is_dynamic else 1e-6,
        memory_bytes=memory + _FIXED_BYTES,
    )


def _sampled(method: str, form: str, each: float, memory: int, order: tuple[int, ...] = ()) -> Estimate:
    return Estimate(
        method=method,
        form=form,
        rank=1,
        once_s=1e-3,
        per_binding_s=0.0,
        per_shot_s=each,
        memory_bytes=memory + _FIXED_BYTES,
        order=order,
    )
