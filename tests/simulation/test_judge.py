"""The judge notices what no mutant of the list shows."""

import pytest

from qmio_jupyter.client.watching import Watchlist
from qmio_jupyter.gateway.caller import Caller
from qmio_jupyter.testing import world as world_module
from qmio_jupyter.testing.sim_agent import SimAgent
from qmio_jupyter.testing.simulate import run_seed


def rules(seeds):
    return {failure.rule for seed in seeds for failure in run_seed(seed).failures}


def test_a_task_that_never_ends_is_noticed(monkeypatch):
    monkeypatch.setattr(world_module, "PEACE_MS", 60_000)
    monkeypatch.setattr(SimAgent, "_finish", lambda self, ref, outcome: None)
    assert rules([0]) == {"liveness"}


def test_another_tenants_task_is_noticed(monkeypatch):
    monkeypatch.setattr(Caller, "tenant", property(lambda self: None))
    assert "tenant" in rules(range(10))


def test_a_view_that_goes_back_is_noticed(monkeypatch):
    def observe(self, view, now_s, *, event):
        return view.task_id in self

    monkeypatch.setattr(Watchlist, "observe", observe)
    assert "revision" in rules(range(20))


@pytest.mark.parametrize("seed", range(3))
def test_without_such_defects_nothing_is_noticed(seed):
    assert rules([seed]) == set()
