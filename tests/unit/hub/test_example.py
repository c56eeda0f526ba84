"""The production example is read by what it is for: no trait and no key of it is misspelt."""

from __future__ import annotations

import configparser
from importlib.util import find_spec
from pathlib import Path

import pytest
from traitlets.config import Config

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
    assert [one.role for one in found.keys] == ["issuer"]


@pytest.mark.parametrize("path", sorted(EXAMPLE.glob("systemd/*.service")), ids=lambda path: path.name)
def test_units_run_what_there_is(path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text())
    words = unit["Service"]["ExecStart"].split()
    module = words[words.index("-m") + 1]
    assert find_spec(module) is not None
