"""Parts of the site's doctor, each in a process of its own, as it runs them."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from qmio_jupyter.cli.site import as_user
from qmio_jupyter.cli.site.ask_gateway import GatewayAsk, look
from qmio_jupyter.cli.site.ask_link import port_why
from qmio_jupyter.cli.site.facts import GatewayFacts
from qmio_jupyter.errors import ConfigError


def test_a_part_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[gateway]\ncolour = 1\n")
    question = GatewayAsk(config=str(config), home=str(tmp_path / "home"))
    own = pwd.getpwuid(os.geteuid())
    found = as_user.ask("gateway", question, GatewayFacts, own)
    assert found == look(question)
    assert "colour" in found.why
    with pytest.raises(ConfigError, match="looking at the none as"):
        as_user.ask("none", question, GatewayFacts, own)


def test_a_port_nobody_listens_at() -> None:
    assert "refused" in port_why("tcp://127.0.0.1:1")
    assert port_why("tcp://127.0.0.1:x")
