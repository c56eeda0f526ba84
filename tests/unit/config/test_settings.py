"""Settings: defaults without a file, a typo named at start, the environment on top."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmio_jupyter.config.settings import (
    AgentSettings,
    GatewayAddress,
    GatewaySettings,
    Settings,
    check_drivers,
    load,
    parse,
    settings_path,
)
from qmio_jupyter.errors import ConfigError

WHOLE = """
[gateway]
name = "class-1"
endpoint = "tcp://127.0.0.1:*"
idle_s = 60
log_level = "debug"
[gateway.limits]
shots = 5000
[gateway.core]
lease_s = 3
weights = { physics = 2.0 }
[[gateway.agents]]
device = "ideal"
driver = "ideal"
options = { qubits = "32" }
credit = 4
memory_bytes = 1073741824
cpu_s = 10
wall_s = 20
workers = 2
[client]
default_device = "echo"
shots = 7
timeout_s = 3.5
start_embedded = false
[[client.gateways]]
connection_file = "/run/user/1000/qmio/connection.json"
[[client.gateways]]
endpoint = "tcp://gateway:5555"
server_key = "0123456789012345678901234567890123456789"
key_file = "/home/me/key"
"""


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    settings = load({"HOME": str(tmp_path)})
    assert settings == Settings()
    assert [agent.device for agent in settings.gateway.agents] == ["fake-qmio", "fake-fez", "ideal", "echo"]
    assert settings.client.default_device == "fake-qmio"
    assert settings.gateway.endpoint == "tcp://127.0.0.1:*"
    assert settings.gateway.idle_s == 900
    assert settings.client.gateways == ()
    assert settings.client.start_embedded


def test_a_whole_file() -> None:
    settings = parse(WHOLE.encode())
    assert settings.gateway.agents == (
        AgentSettings(
            device="ideal",
            driver="ideal",
            options={"qubits": "32"},
            credit=4,
            memory_bytes=2**30,
            cpu_s=10,
            wall_s=20,
            workers=2,
        ),
    )
    assert settings.gateway.core.lease_s == 3
    assert settings.gateway.core.weights == {"physics": 2.0}
    assert settings.gateway.limits.shots == 5000
    assert settings.client.timeout_s == 3.5
    assert len(settings.client.gateways) == 2


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[gateway]\nidel_s = 3\n", "idel_s"),
        ("[gatway]\n", "gatway"),
        ("[client]\ntimeout_s = 'soon'\n", "$.client.timeout_s"),
        ("[client]\ntimeout_s = 0\n", "$.client.timeout_s"),
        ("[client]\nshots = 0\n", "$.client.shots"),
        ("[gateway]\nendpoint = 'ipc:///tmp/x'\n", "$.gateway.endpoint"),
        ("[gateway]\nlog_level = 'loud'\n", "$.gateway.log_level"),
        ("[[gateway.agents]]\ndevice = 'a b'\ndriver = 'echo'\n", "$.gateway.agents[0].device"),
        ("[[gateway.agents]]\ndevice = 'a'\n", "driver"),
        ("[gateway.limits]\nmessage_bytes = 3\n", "message_bytes"),
        ("[gateway.core]\nlease = 3\n", "lease"),
        ("[[client.gateways]]\nendpoint = 'tcp://x:1'\n", "connection_file"),
        ("[[client.gateways]]\n", "connection_file"),
        (
            "[[gateway.agents]]\ndevice='a'\ndriver='echo'\n[[gateway.agents]]\ndevice='a'\ndriver='echo'\n",
            "'a'",
        ),
        ("not toml", "config.toml"),
        ("\x00", "config.toml"),
    ],
)
def test_what_is_wrong_is_named(text: str, named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode())
    assert named in caught.value.message
    assert "\n" not in caught.value.one_line()


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(ConfigError):
        parse(b"\xff\xfe\x00")


def test_where_the_file_is(tmp_path: Path) -> None:
    assert settings_path({"HOME": "/h"}) == (Path("/h/.config/qmio/config.toml"), False)
    assert settings_path({"HOME": "/h", "XDG_CONFIG_HOME": "/c"}) == (Path("/c/qmio/config.toml"), False)
    assert settings_path({"QMIO_CONFIG": "/x.toml"}) == (Path("/x.toml"), True)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load({"QMIO_CONFIG": str(tmp_path / "no.toml")})
    assert caught.value.code == "config.file"
    with pytest.raises(ConfigError):
        load({}, path=tmp_path / "no.toml")


def test_an_unreadable_default_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "qmio/config.toml").mkdir(parents=True)
    with pytest.raises(ConfigError):
        load({"XDG_CONFIG_HOME": str(tmp_path)})


def test_the_environment_overrides(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(WHOLE)
    settings = load(
        {"QMIO_CONFIG": str(tmp_path / "c.toml"), "QMIO_DEVICE": "ideal", "QMIO_CONNECTION_FILE": "/y.json"}
    )
    assert settings.client.default_device == "ideal"
    assert settings.client.gateways == (GatewayAddress(connection_file="/y.json"),)
    assert settings.client.shots == 7


def test_a_wrong_environment_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="QMIO_DEVICE"):
        load({"HOME": "/nonexistent", "QMIO_DEVICE": "a b"})


def test_an_agent_is_found_by_its_device() -> None:
    assert GatewaySettings().agent("echo").driver == "echo"
    with pytest.raises(ConfigError, match="nope") as caught:
        GatewaySettings().agent("nope")
    assert "ideal, echo" in caught.value.hint


def test_a_driver_that_is_not_installed_is_named_with_the_nearest() -> None:
    check_drivers(Settings())
    wrong = parse(b'[[gateway.agents]]\ndevice = "mine"\ndriver = "ideel"\n')
    with pytest.raises(ConfigError, match=r"device 'mine' wants the driver 'ideel'.*Did you mean ideal\?"):
        check_drivers(wrong)
    by_hand = parse(b'[[gateway.agents]]\ndevice = "mine"\ndriver = "ideel"\nstart = false\n')
    check_drivers(by_hand)


def test_an_agent_whose_package_is_missing_is_not_started_nor_is_its_driver_missed() -> None:
    text = '[[gateway.agents]]\ndevice = "mine"\ndriver = "ideel"\nneeds = "{}"\n'
    there, missing = (parse(text.format(name).encode()) for name in ("json", "no_such_package"))
    assert there.gateway.agents[0].is_started
    assert not missing.gateway.agents[0].is_started
    check_drivers(missing)
    with pytest.raises(ConfigError, match="ideel"):
        check_drivers(there)


def test_only_a_packages_own_name_can_be_needed() -> None:
    with pytest.raises(ConfigError, match="needs"):
        parse(b'[[gateway.agents]]\ndevice = "mine"\ndriver = "echo"\nneeds = "a.b"\n')


def test_fez_is_there_with_its_package_and_nobody_waits_for_it_without() -> None:
    fez = GatewaySettings().agent("fake-fez")
    assert fez.needs == "qiskit_ibm_runtime"
    assert fez.options["warm"] == "no"
    assert GatewaySettings().agent("fake-qmio").options == {"calibration": "qmio"}


def test_keys_that_the_gateway_knows_from_its_start() -> None:
    key = "0123456789012345678901234567890123456789"
    made = parse(f'[[gateway.keys]]\npublic = "{key}"\nrole = "issuer"\nnote = "hub"'.encode())
    assert [(one.public, one.role) for one in made.gateway.keys] == [(key, "issuer")]
    for table in ('role = "user"', 'role = "agent"', 'role = "monitor"\ndevice = "echo"'):
        with pytest.raises(ConfigError):
            parse(f'[[gateway.keys]]\npublic = "{key}"\n{table}'.encode())


@pytest.mark.parametrize(
    ("table", "is_early"),
    [
        ("", True),
        ("embedded = false", False),
        ("embedded = false\nearly_dispatch = true", True),
        ("early_dispatch = false", False),
    ],
)
def test_dispatch_is_early_on_a_gateway_of_ones_own_or_where_it_is_said(table: str, is_early: bool) -> None:
    assert parse(f"[gateway]\n{table}\n".encode()).gateway.dispatches_early is is_early
