"""Settings: one TOML file to frozen Structs. A typo fails at start and names the key.

The file is the one that ``QMIO_CONFIG`` names, else ``$XDG_CONFIG_HOME/qmio/config.toml``, else
``~/.config/qmio/config.toml``; a missing file means the defaults, except where ``QMIO_CONFIG`` names it.
Secrets never stand in it, only paths to them.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from qmio_jupyter.config.qrmi import device_of
from qmio_jupyter.errors import ConfigError
from qmio_jupyter.model.task import MAX_SHOTS

_Positive = Annotated[float, Meta(gt=0)]
_Path = Annotated[str, Meta(pattern="^/")]
_Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; a key it does not know is an error."""


class AgentSettings(_Table, frozen=True, kw_only=True):
    """One agent that the gateway starts and watches over: a ``[[gateway.agents]]`` table."""

    #: Name of the device it announces.
    device: _Name
    #: Entry point of group ``qmio_jupyter.drivers``.
    driver: str
    #: What the driver's maker is given, as strings.
    options: dict[str, str] = {}
    #: Claims it may hold at once.
    credit: Annotated[int, Meta(ge=1, le=1000)] = 2
    #: Worker processes; 0: none, the driver runs in the agent.
    workers: Annotated[int, Meta(ge=0, le=256)] = 1
    #: Address space a worker may use, in bytes.
    memory_bytes: Annotated[int, Meta(ge=2**26)] = 4 * 2**30
    #: Processor seconds one task may use.
    cpu_s: _Positive = 600.0
    #: Seconds by the clock one task may take.
    wall_s: _Positive = 900.0
    #: False: it is started by hand or by a service manager.
    start: bool = True
    #: A Python package without which it is not started; empty: none.
    needs: Annotated[str, Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")] = ""

    @property
    def is_started(self) -> bool:
        """Whether the gateway starts it: it is to, and what it needs is installed (nothing is imported)."""
        return self.start and (not self.needs or find_spec(self.needs) is not None)


class KeySettings(_Table, frozen=True, kw_only=True):
    """A public key that the gateway knows from its start, and its role: a ``[[gateway.keys]]`` table.

    Users are not among them: they prove who they are from their Slurm jobs.
    """

    #: Public CURVE key, Z85.
    public: Annotated[str, Meta(pattern="^.{40}$")]
    #: ``issuer`` (the hub), ``agent``, ``operator``, ``monitor``, or ``node`` (prologs and epilogs).
    role: Literal["issuer", "agent", "operator", "monitor", "node"]
    #: Device of an agent; only of an agent.
    device: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""
    #: Whose it is, for those who read the file.
    note: str = ""

    def __post_init__(self) -> None:
        if bool(self.device) != (self.role == "agent"):
            raise ValueError("a key has a device exactly if its role is agent")


#: Devices of an embedded gateway unless configured otherwise. Only the first has workers before its first task.
DEFAULT_AGENTS = (
    AgentSettings(device="fake-qmio", driver="emulator", options={"calibration": "qmio"}),
    AgentSettings(
        device="fake-fez",
        driver="emulator",
        options={"calibration": "fez", "warm": "no"},
        needs="qiskit_ibm_runtime",
    ),
    AgentSettings(device="ideal", driver="ideal", options={"warm": "no"}),
    AgentSettings(device="echo", driver="echo", credit=16, workers=0),
)


class LimitSettings(_Table, frozen=True, kw_only=True):
    """What the gateway accepts: the ``[gateway.limits]`` table. Told to every client in its welcome."""

    #: Bytes of one message, attachments included.
    message_bytes: Annotated[int, Meta(ge=2**16, le=2**31)] = 64 * 2**20
    #: Bytes of one program.
    program_bytes: Annotated[int, Meta(ge=2**10, le=2**31)] = 16 * 2**20
    #: Items of one task.
    items: Annotated[int, Meta(ge=1, le=1000)] = 1_000
    #: Shots of one item.
    shots: Annotated[int, Meta(ge=1, le=MAX_SHOTS)] = MAX_SHOTS
    #: Tasks one session may have queued.
    queued_per_session: Annotated[int, Meta(ge=1)] = 10_000
    #: Events per second and task.
    events_hz: _Positive = 5.0


class CoreOverrides(_Table, frozen=True, kw_only=True):
    """Figures of the core that differ from its defaults: the ``[gateway.core]`` table. None: the default."""

    #: Seconds after which a claim that is not renewed lapses.
    lease_s: _Positive | None = None
    #: Seconds after which an unacknowledged dispatch is sent again.
    redispatch_s: _Positive | None = None
    #: Half-life of charged usage, in seconds.
    half_life_s: _Positive | None = None
    #: Longest predicted duration of a task, in seconds.
    longest_task_s: _Positive | None = None
    #: Days after which ended tasks are forgotten.
    retention_days: _Positive | None = None
    #: Shares of accounts and users, by node of the fair-share tree (``account`` or ``account/user``).
    weights: dict[str, _Positive] = {}


class SlurmSettings(_Table, frozen=True, kw_only=True):
    """The cluster whose jobs prove themselves to the gateway: the ``[gateway.slurm]`` table."""

    #: The cluster's name; empty: Slurm is asked for it.
    cluster: str = ""
    #: Absolute paths of Slurm's commands.
    squeue: _Path = "/usr/bin/squeue"
    scontrol: _Path = "/usr/bin/scontrol"
    sinfo: _Path = "/usr/bin/sinfo"
    #: Path of slurm.conf; empty: as Slurm finds it.
    config: str = ""
    #: Seconds one command may take.
    timeout_s: _Positive = 15.0
    #: Seconds from one query of all jobs to the next, at least.
    interval_s: Annotated[float, Meta(ge=0.1, le=5)] = 5.0
    #: What jobs prove themselves with: ``munge``, a credential of their node's munged; ``secret``, one that the node's
    #: prolog hands them.
    proofs: Annotated[tuple[Literal["munge", "secret"], ...], Meta(min_length=1)] = ("munge",)
    #: Addresses of Slurm's controllers, if their EpilogSlurmctld tells of jobs' ends: it does so for every node.
    controllers: tuple[str, ...] = ()
    #: munged's socket; empty: libmunge's own.
    munge_socket: str = ""
    #: A session needs a licence of its device, named with this before the device: ``qpu_fake-qmio:1``.
    licence_required: bool = False
    licence_prefix: str = "qpu_"
    #: Seconds after which a session whose programs say nothing ends, also while Slurm cannot be asked.
    lease_s: _Positive = 3600.0
    #: More addresses of nodes, by name: of networks that Slurm does not know but jobs use.
    addresses: dict[str, tuple[str, ...]] = {}


class GatewaySettings(_Table, frozen=True, kw_only=True):
    """The daemon: the ``[gateway]`` table."""

    #: Name it tells its clients.
    name: _Name = "local"
    #: Where it listens; ``*`` takes a free port.
    endpoint: Annotated[str, Meta(pattern=r"^tcp://[^:\s]+:(\*|\d{1,5})$")] = "tcp://127.0.0.1:*"
    #: One user's gateway on one host, found through its connection file.
    embedded: bool = True
    #: Seconds without clients and live tasks after which an embedded gateway stops.
    idle_s: _Positive = 900.0
    #: Agents it starts and watches over.
    agents: tuple[AgentSettings, ...] = DEFAULT_AGENTS
    #: Keys of hubs, operators, monitors, and of agents that somebody else starts. A key taken out of the file keeps
    #: its role until it is revoked.
    keys: tuple[KeySettings, ...] = ()
    #: Tasks of devices that may run one twice without harm (emulators) are dispatched while they are being written
    #: down, not after. What is told to users always waits for the disk. Unless it is said, an embedded gateway does so
    #: and no other.
    early_dispatch: bool | None = None
    #: ``debug``, ``info``, ``warning`` or ``error``.
    log_level: Annotated[str, Meta(pattern="^(debug|info|warning|error)$")] = "info"
    #: Who vouches for users: ``slurm``, for its jobs; empty: nobody but the embedded gateway for its owner.
    verifier: Literal["", "slurm"] = ""
    slurm: SlurmSettings = SlurmSettings()
    limits: LimitSettings = LimitSettings()
    core: CoreOverrides = CoreOverrides()

    @property
    def dispatches_early(self) -> bool:
        """Whether a dispatch to a repeatable device may leave before its commit."""
        return self.embedded if self.early_dispatch is None else self.early_dispatch

    def __post_init__(self) -> None:
        if self.embedded and self.verifier:
            raise ValueError("an embedded gateway is its owner's alone: set embedded = false beside verifier")
        names = [agent.device for agent in self.agents]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two agents announce the device {twice[0]!r}")

    def agent(self, device: str) -> AgentSettings:
        """Return the settings of the agent that announces `device`.

        Raises
        ------
        ConfigError
            If there is none.
        """
        for agent in self.agents:
            if agent.device == device:
                return agent
        raise ConfigError(
            f"no agent for the device {device!r} is configured",
            hint="Configured are: " + ", ".join(agent.device for agent in self.agents),
        )


class GatewayAddress(_Table, frozen=True, kw_only=True):
    """One gateway a client may use: a ``[[client.gateways]]`` table.

    Either `connection_file`; or `endpoint` and `server_key` with either `key_file` or `proof`.
    """

    #: A connection file, as an embedded gateway writes it.
    connection_file: str = ""
    #: ZeroMQ endpoint.
    endpoint: str = ""
    #: The gateway's public CURVE key, Z85.
    server_key: Annotated[str, Meta(pattern="^(|.{40})$")] = ""
    #: File with the user's own CURVE key pair, 0600.
    key_file: str = ""
    #: ``slurm``: a job proves itself, and there is no key to keep.
    proof: Literal["", "slurm"] = ""

    def __post_init__(self) -> None:
        own = (bool(self.key_file), bool(self.proof))
        direct = (self.endpoint, self.server_key, self.key_file or self.proof)
        if bool(self.connection_file) == any(direct) or (any(direct) and not all(direct)) or all(own):
            raise ValueError(
                "give either connection_file, or all of endpoint, server_key and key_file (or proof)"
            )


class ClientSettings(_Table, frozen=True, kw_only=True):
    """Notebooks, command line and library: the ``[client]`` table."""

    #: Gateways in order of preference; one is used at a time. Empty: the embedded one.
    gateways: tuple[GatewayAddress, ...] = ()
    #: Device a program goes to when none is named.
    default_device: _Name = "fake-qmio"
    #: Shots of a program when none are asked for.
    shots: Annotated[int, Meta(ge=1, le=MAX_SHOTS)] = 1000
    #: Seconds after which a request that is not answered fails.
    timeout_s: _Positive = 30.0
    #: Start an embedded gateway when none is configured and none runs.
    start_embedded: bool = True
    #: Seconds without any gateway after which waiting for a task ends with an error (the task itself is
    #: safe).
    unreachable_s: _Positive = 120.0
    #: Seconds a starting embedded gateway may take.
    start_timeout_s: _Positive = 30.0


class Settings(_Table, frozen=True, kw_only=True):
    """The whole file."""

    gateway: GatewaySettings = GatewaySettings()
    client: ClientSettings = ClientSettings()


def check_drivers(settings: Settings) -> None:
    """Refuse an agent that the gateway would start with a driver that is not installed.

    Raises
    ------
    ConfigError
        Naming the device, the driver and the nearest one there is.
    """
    from importlib.metadata import entry_points

    installed = sorted({point.name for point in entry_points(group="qmio_jupyter.drivers")})
    for agent in settings.gateway.agents:
        if agent.is_started and agent.driver not in installed:
            near = difflib.get_close_matches(agent.driver, installed, n=1)
            raise ConfigError(
                f"gateway.agents: device {agent.device!r} wants the driver {agent.driver!r}, which is not installed",
                hint=f"Did you mean {near[0]}?" if near else f"Installed are: {', '.join(installed)}.",
            )


def settings_path(environ: Mapping[str, str] | None = None) -> tuple[Path, bool]:
    """Return the settings file's path and whether it must exist (the user named it)."""
    env = os.environ if environ is None else environ
    named = env.get("QMIO_CONFIG", "")
    if named:
        return Path(named).expanduser(), True
    base = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME") or "~").expanduser() / ".config")
    return Path(base) / "qmio" / "config.toml", False


def load(environ: Mapping[str, str] | None = None, *, path: Path | None = None) -> Settings:
    """Return the settings in force.

    ``QMIO_DEVICE`` and ``QMIO_CONNECTION_FILE`` override ``client.default_device`` and ``client.gateways``; so do
    ``QMIO_GATEWAY`` (an endpoint) and ``QMIO_GATEWAY_KEY`` (its public key), for Slurm jobs that prove themselves.
    Without ``QMIO_DEVICE``, the first of our devices in ``QRMI_JOB_QPU_RESOURCES`` is the default one.

    Parameters
    ----------
    environ : mapping, optional
        The environment; the process's own when None.
    path : Path, optional
        A file to read in place of the one the environment leads to; must exist.

    Raises
    ------
    ConfigError
        ``config.file`` if a named file cannot be read; ``config`` naming the key that is wrong.
    """
    env = os.environ if environ is None else environ
    file, required = settings_path(env) if path is None else (path, True)
    try:
        data = file.read_bytes()
    except OSError as problem:
        if not required and isinstance(problem, FileNotFoundError):
            return _overridden(Settings(), env)
        raise ConfigError(
            f"{file} cannot be read ({problem.strerror})",
            hint="Check QMIO_CONFIG, the path and its owner.",
            code="config.file",
        ) from problem
    return _overridden(parse(data, str(file)), env)


def parse(data: bytes, name: str = "config.toml") -> Settings:
    """Return the settings that TOML `data` holds; `name` is used in errors.

    Raises
    ------
    ConfigError
        Naming the key, as in ``$.gateway.idle``.
    """
    try:
        return msgspec.toml.decode(data, type=Settings)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise ConfigError(
            f"{name}: {problem}", hint="Correct the named key; docs/reference/config lists all."
        ) from problem


def _overridden(settings: Settings, env: Mapping[str, str]) -> Settings:
    client = settings.client
    changes: dict[str, object] = {}
    device = env.get("QMIO_DEVICE") or device_of(env)
    if device:
        changes["default_device"] = device
    if env.get("QMIO_CONNECTION_FILE"):
        changes["gateways"] = [{"connection_file": env["QMIO_CONNECTION_FILE"]}]
    elif env.get("QMIO_GATEWAY"):
        key = env.get("QMIO_GATEWAY_KEY", "")
        changes["gateways"] = [{"endpoint": env["QMIO_GATEWAY"], "server_key": key, "proof": "slurm"}]
    if not changes:
        return settings
    try:
        merged = msgspec.convert(msgspec.to_builtins(client) | changes, type=ClientSettings)
    except msgspec.ValidationError as problem:
        raise ConfigError(
            f"QMIO_DEVICE, QMIO_CONNECTION_FILE, QMIO_GATEWAY or QMIO_GATEWAY_KEY is wrong: {problem}",
            hint="Correct the environment variable.",
        ) from problem
    return msgspec.structs.replace(settings, client=merged)
