"""Blocks computed whole and revealed in batches: nothing is lost, added or moved."""

import itertools

import pytest

from qmio_jupyter.drivers.aer.revealing import InBlocks, Revealed

N_BITS = 9


class Played:
    """Blocks of seven shots, each outcome its own number."""

    block = 7

    def __init__(self):
        self.sizes = []
        self.numbers = itertools.count()

    def rows(self, shots):
        self.sizes.append(shots)
        return b"".join(next(self.numbers).to_bytes(2, "little") for _ in range(shots))


def outcomes(columns):
    return [int.from_bytes(columns.keys[at : at + 2], "little") for at in range(0, len(columns.keys), 2)]


@pytest.mark.parametrize("step", [1, 3, 7, 10, 100])
def test_batches_of_any_size_reveal_the_blocks_in_order(step):
    played = Played()
    assert isinstance(played, InBlocks)
    revealed = Revealed(played, 24, N_BITS, keeps_memory=True)
    while revealed.shots < 24:
        revealed.draw(min(step, 24 - revealed.shots))
        columns = revealed.columns()
        assert columns.shots == revealed.shots
        assert outcomes(columns) == list(range(revealed.shots))
        assert columns.memory == columns.keys
    # As without a clock: whole blocks, and what is left in the last.
    assert played.sizes == [7, 7, 7, 3]


def test_no_block_is_computed_before_it_is_needed_and_no_shot_kept_unasked():
    played = Played()
    revealed = Revealed(played, 24, N_BITS, keeps_memory=False)
    revealed.draw(7)
    assert played.sizes == [7]
    assert revealed.columns().memory is None
