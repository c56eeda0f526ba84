"""What a Jupyter server tells the kernels it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from jupyter_core.paths import jupyter_path

from qmio_jupyter.config.front_end import NEEDED, WIDGETS, has_widgets, offer_widgets, widgets_are_offered


def extension(root: Path, name: str) -> None:
    (root / name).mkdir(parents=True)
    (root / name / "package.json").write_text("{}")


def test_both_extensions_are_needed_wherever_they_are(tmp_path: Path) -> None:
    user, system = tmp_path / "user", tmp_path / "system"
    where = [str(user), str(system), str(tmp_path / "nowhere")]
    assert not has_widgets(where)
    extension(user, NEEDED[0])
    assert not has_widgets(where)
    extension(system, NEEDED[1])
    assert has_widgets(where)


def test_this_environment_has_them() -> None:
    assert has_widgets(jupyter_path("labextensions"))


@pytest.mark.parametrize(("said", "offered"), [({}, True), ({WIDGETS: "0"}, False), ({WIDGETS: "1"}, True)])
def test_the_servers_word_does_not_overrule_the_users(said: dict[str, str], offered: bool) -> None:
    offer_widgets(said)
    assert widgets_are_offered(said) is offered


def test_nothing_said_is_no() -> None:
    assert not widgets_are_offered({})
