"""Break one decision at a time: the simulation must notice, and notice the right thing."""

import pytest

from qmio_jupyter.testing.checks import Violation
from qmio_jupyter.testing.fairness import check_fairness
from qmio_jupyter.testing.mutants import MUTANTS
from qmio_jupyter.testing.simulate import run_seed

#: Mutant -> (rule that must catch it, seeds within which it must).
CAUGHT_BY = {
    "fencing off": ("fence", 60),
    "epoch off": ("fence", 60),
    "reply before commit": ("commit first", 5),
    "result before commit": ("commit first", 5),
    "lease compare flipped": ("lease", 30),
    "booking ignored": ("booking", 30),
    "stale snapshot bound": ("contract", 10),
    "position not from the policy": ("position", 10),
}
FAIRNESS_SEEDS = range(20)

pytestmark = pytest.mark.timeout(300)


def all_fair():
    for seed in FAIRNESS_SEEDS:
        check_fairness(seed)


def test_every_mutant_has_its_test():
    assert set(CAUGHT_BY) | {"FIFO instead of fair"} == set(MUTANTS)


@pytest.mark.parametrize("name", sorted(CAUGHT_BY))
def test_a_mutant_is_caught(name):
    rule, seeds = CAUGHT_BY[name]
    with MUTANTS[name]():
        found = set()
        for seed in range(seeds):
            found |= {failure.rule for failure in run_seed(seed).failures}
            if rule in found:
                return
    pytest.fail(f"{name}: no seed below {seeds} broke the rule {rule!r}; broken were {sorted(found)}")


def test_fifo_instead_of_fair_is_caught():
    with MUTANTS["FIFO instead of fair"](), pytest.raises(Violation, match="fairness"):
        all_fair()


@pytest.mark.parametrize("seed", FAIRNESS_SEEDS)
def test_the_queue_is_fair(seed):
    assert check_fairness(seed) == 30


def test_mutants_leave_nothing_behind():
    for mutant in MUTANTS.values():
        with mutant():
            pass
    assert run_seed(0).failures == []
