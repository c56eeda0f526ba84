"""The production example is read by what it is for: no trait and no key of it is misspelt."""

from __future__ import annotations

import configparser
import importlib
import logging
import os
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
from traitlets.config import Config

from qmio_jupyter.cli.site import ask_hub
from qmio_jupyter.config.settings import GatewayAddress, parse
from qmio_jupyter.hub.offer import Limits, Profile
from qmio_jupyter.hub.spawner import QmioSpawner, _configured
from qmio_jupyter.slurm.commands import SlurmCommands

EXAMPLE = Path(__file__).parents[3] / "jupyterhub_config"


def test_the_hubs_configuration() -> None:
    config = Config()
    source = (EXAMPLE / "jupyterhub_config.py").read_text()
    exec(compile(source, "jupyterhub_config.py", "exec"), {"get_config": lambda: config})
    traits = QmioSpawner.class_traits(config=True)
    for name, value in config.QmioSpawner.items():
        assert name in traits
        traits[name]._validate(QmioSpawner(), value)
    for address in config.QmioSpawner.gateways:
        GatewayAddress(**address)
    for profile in config.QmioSpawner.profiles:
        _configured(profile, Profile, "profiles")
    _configured(config.QmioSpawner.limits, Limits, "limits")
    SlurmCommands(run_as=tuple(config.QmioSpawner.exec_prefix))


def test_the_gateways_configuration() -> None:
    found = parse((EXAMPLE / "gateway" / "config.toml").read_bytes()).gateway
    assert (found.verifier, found.embedded) == ("slurm", False)
    assert [one.role for one in found.keys] == ["node", "issuer"]


def test_the_nodes_configuration_is_what_its_scripts_name() -> None:
    (address,) = parse((EXAMPLE / "node" / "node.toml").read_bytes()).client.gateways
    assert address.key_file == "/etc/qmio/node.key"
    for name in ("prolog", "epilog"):
        script = EXAMPLE / "slurm" / name
        lines = script.read_text().splitlines()
        assert os.access(script, os.X_OK)
        assert "export QMIO_CONFIG=/etc/qmio/node.toml" in lines
        assert lines[-1] == "exit 0"
        (run,) = [line for line in lines if line.startswith("/opt/qmio/bin/jupyter-qmio")]
        command = importlib.import_module(f"qmio_jupyter.cli.{name}").command
        assert shlex.split(run)[1] == name
        command.make_context(name, shlex.split(run)[2:])


@pytest.mark.parametrize("path", sorted(EXAMPLE.glob("systemd/*.service")), ids=lambda path: path.name)
def test_units_run_what_there_is(path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text())
    words = unit["Service"]["ExecStart"].split()
    module = words[words.index("-m") + 1]
    assert find_spec(module) is not None


def test_jupyterhub_takes_the_hubs_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "disable", lambda level: None)
    app, spawner, proxy, unknown = ask_hub._loaded(str(EXAMPLE / "jupyterhub_config.py"))
    assert unknown == []
    assert (type(spawner), proxy.should_start, app.cleanup_servers) == (QmioSpawner, True, False)
    assert app.hub.api_url == "http://10.0.0.4:8081/hub/api"
