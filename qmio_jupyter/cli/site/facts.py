"""What the askers found out, as values that travel between processes as JSON. No secret is among them. Pure."""

from __future__ import annotations

import msgspec


class PathFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A path as its asker sees it, links not followed."""

    path: str
    #: ``file``, ``directory``, ``link``, ``other``; empty: it is not there, or `why` not.
    kind: str = ""
    uid: int = -1
    mode: int = 0
    #: Type of its file system, and whether that is a network's.
    filesystem: str = ""
    is_remote: bool = False
    #: Whether the asker may read it (a directory: enter it).
    is_readable: bool = False
    #: Why it could not be looked at.
    why: str = ""
    #: Directories above in which others than their owners may replace what is in them: (path, uid, mode).
    above: tuple[tuple[str, int, int], ...] = ()


class CommandFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One of Slurm's commands."""

    path: PathFacts
    version: str = ""
    why: str = ""


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One node, as Slurm has it."""

    name: str
    address: str
    is_usable: bool


class SlurmFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Slurm as one user of one host sees it."""

    commands: tuple[CommandFacts, ...] = ()
    #: Why the controller could not be asked; empty: it was.
    why: str = ""
    cluster: str = ""
    #: What ``scontrol show config`` says.
    config: dict[str, str] = {}
    #: Licence -> how many there are.
    licences: dict[str, int] = {}
    nodes: tuple[NodeFacts, ...] = ()
    #: Whose eyes it was seen with, and her level in the accounting (``Operator``); empty: none, or not known.
    user: str = ""
    level: str = ""
    #: Why the accounting could not be asked; None: it was not tried.
    accounts_why: str | None = None


class MungeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """MUNGE on one host: a credential made and read there."""

    why: str = ""
    #: Seconds between making and reading: more than some means that a clock is being set.
    age_s: float = 0.0


class DeviceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A device as the gateway shows it."""

    name: str
    state: str
    takes_tasks: bool
    agents: int
    is_simulator: bool
    note: str = ""
    #: Age of its calibration; None: it has none.
    snapshot_age_s: float | None = None


class LinkFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway over the wire, as the holder of a key sees it."""

    endpoint: str
    #: Why its port cannot be connected to; empty: it can.
    port_why: str = ""
    #: Error code and message of the first request; empty: it was answered.
    code: str = ""
    why: str = ""
    role: str = ""
    software: str = ""
    #: Seconds this host is ahead of the gateway.
    skew_s: float = 0.0
    store_ok: bool = False
    log: str = ""
    devices: tuple[DeviceFacts, ...] | None = None
    devices_why: str = ""
    #: The cluster that was named in the proof; empty: Slurm had not told its name.
    cluster: str = ""
    #: How the gateway refused a proof for a job that there cannot be.
    proof_code: str = ""
    proof_why: str = ""


class PinFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway in the hub's configuration."""

    endpoint: str
    server_key: str
    key_file: PathFacts
    #: Public half of the hub's own key; empty with `key_why`.
    public: str = ""
    key_why: str = ""


class RunAsFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The run-as prefix, tried for one user."""

    user: str
    #: Command -> why it cannot be run for her; empty: it can.
    tried: dict[str, str] = {}
    #: What the prefix would run that it must not, in words.
    too_much: tuple[str, ...] = ()


class HubFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The hub's configuration, loaded as the hub's user."""

    version: str = ""
    #: Why it does not load.
    why: str = ""
    spawner: str = ""
    is_ours: bool = False
    unknown: tuple[str, ...] = ()
    api_url: str = ""
    cleans_up: bool = False
    proxy: str = ""
    proxy_starts: bool = False
    proxy_command: str = ""
    #: Where that command was found; empty: nowhere.
    proxy_path: str = ""
    journal: PathFacts | None = None
    entries: int = 0
    #: Starts that are being undone: (name, seconds since that was last written).
    undoing: tuple[tuple[str, float], ...] = ()
    unreadable: tuple[str, ...] = ()
    gateways: tuple[PinFacts, ...] = ()
    node_endpoint: str = ""
    server_ports: str = ""
    python: str = ""
    command: str = ""
    seal: bool = True
    munge_socket: str = ""
    #: MUNGE's socket on the nodes, where it is not libmunge's own.
    node_munge_socket: str = ""
    slurm_config: str = ""
    licence_prefix: str = "qpu_"
    exec_prefix: tuple[str, ...] = ()
    run_as: RunAsFacts | None = None
    munge: MungeFacts | None = None
    slurm: SlurmFacts | None = None
    links: tuple[LinkFacts, ...] = ()
    sbatch: str = "/usr/bin/sbatch"


class GatewayFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway's own files, looked at as its user."""

    #: Why its settings do not hold.
    why: str = ""
    is_embedded: bool = False
    verifier: str = ""
    endpoint: str = ""
    devices: tuple[str, ...] = ()
    licence_required: bool = False
    licence_prefix: str = "qpu_"
    #: What jobs may prove themselves with.
    proofs: tuple[str, ...] = ()
    #: Public keys with the role issuer.
    issuers: tuple[str, ...] = ()
    home: tuple[PathFacts, ...] = ()
    keys: tuple[PathFacts, ...] = ()
    #: Its public key; empty before its first start.
    public: str = ""
    #: As a stranger sees it.
    link: LinkFacts | None = None
    munge: MungeFacts | None = None
    slurm: SlurmFacts | None = None


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a job on a node found."""

    node: str = ""
    version: str = ""
    python: str = ""
    server: PathFacts | None = None
    #: Our prologs and epilogs, as slurm.conf names them.
    scripts: tuple[PathFacts, ...] = ()
    disk: str = ""
    disk_why: str = ""
    hub_url: str = ""
    hub_why: str = ""
    endpoint: str = ""
    #: Why no session was opened; empty: one was, and is closed again.
    session_why: str = ""
    session_code: str = ""
    skew_s: float | None = None
    address: str = ""
    port: int = 0
    port_why: str = ""


class ProbeJob(msgspec.Struct, frozen=True, kw_only=True):
    """How a probe job went."""

    user: str
    #: Whether it was submitted and got a node.
    has_run: bool = False
    why: str = ""
    facts: JobFacts | None = None
    #: Why the port it listened on could not be reached from here; None: it did not listen.
    reached_why: str | None = None
