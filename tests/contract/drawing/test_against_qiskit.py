"""What Qiskit calls by the same name has the same value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmio_jupyter.drawing.distances import hellinger_fidelity

COUNTS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 1000), min_size=1).filter(
    lambda counts: sum(counts.values()) > 0
)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(COUNTS, COUNTS)
def test_the_hellinger_fidelity_is_the_one_of_qiskit(p, q) -> None:
    from qiskit.quantum_info import hellinger_fidelity as theirs

    assert hellinger_fidelity(p, q) == pytest.approx(theirs(p, q), abs=1e-9)
