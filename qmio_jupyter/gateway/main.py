"""Puts the daemon together and runs it until it is told to stop. The one place that knows all its parts."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pwd
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from secrets import token_bytes

import msgspec

from qmio_jupyter._version import __version__
from qmio_jupyter.auth import munge
from qmio_jupyter.auth.keys import key_id, keys_at
from qmio_jupyter.config import connection as connection_file
from qmio_jupyter.config.connection import ConnectionFile
from qmio_jupyter.config.places import Places, private_directory
from qmio_jupyter.config.settings import GatewaySettings, SlurmSettings
from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.core import Core
from qmio_jupyter.core.records import LiveState
from qmio_jupyter.errors import GatewayError, QmioError
from qmio_jupyter.gateway import notify
from qmio_jupyter.gateway.caller import Identity
from qmio_jupyter.gateway.clock import GatewayClock
from qmio_jupyter.gateway.desk import Desk
from qmio_jupyter.gateway.log import GatewayLog
from qmio_jupyter.gateway.opening import Opening
from qmio_jupyter.gateway.service import Service
from qmio_jupyter.gateway.supervisor import Supervisor
from qmio_jupyter.gateway.turn import join
from qmio_jupyter.gateway.verifying import Verifying
from qmio_jupyter.model.access import Enrolment, Role
from qmio_jupyter.model.ids import mint
from qmio_jupyter.model.keys import KeyPair
from qmio_jupyter.ports import TaskStore
from qmio_jupyter.private_files import leave_no_core_file
from qmio_jupyter.slurm.adapter import Slurm
from qmio_jupyter.slurm.cache import JobCache
from qmio_jupyter.slurm.commands import SlurmCommands
from qmio_jupyter.slurm.verifier import SlurmVerifier
from qmio_jupyter.store.sqlite import SqliteStore
from qmio_jupyter.transport.sockets import Tuning, raise_nofile
from qmio_jupyter.transport.zeromq_router import Router
from qmio_jupyter.wire.messages import Limits

#: Seconds the first commit may take.
START_S = 20.0


def run(settings: GatewaySettings, places: Places) -> int:
    """Run a gateway in this process until SIGTERM, SIGINT, `gateway.stop` or idleness.

    Returns
    -------
    int
        The exit status, 0.

    Raises
    ------
    GatewayError
        ``gateway.start`` if one of this user runs on this host already, or the endpoint cannot be bound.
    ConfigError, StoreError
        If keys, directories or the ledger are not usable.
    """
    with locked(places.lock_file):
        clock = GatewayClock()
        log = GatewayLog(places.state / "gateway.jsonl", clock, settings.log_level)
        try:
            raise_nofile()
            # Nothing of the keys in memory reaches a disk through a core file, its agents' ones included.
            leave_no_core_file(for_good=True)
            store = SqliteStore(places.ledger)
            try:
                asyncio.run(_serve(settings, places, store, clock, log))
            finally:
                store.close()
            log.event("stopped")
        except QmioError as error:
            log.event("failed", level="error", code=error.code, error=str(error))
            raise
        finally:
            log.close()
    return 0


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of this user's gateway on this host.

    Raises
    ------
    GatewayError
        ``gateway.start`` if another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GatewayError(
                "A gateway of yours already runs on this host",
                code="gateway.start",
                hint="See `jupyter qmio status`.",
            ) from None
        yield
    finally:
        os.close(descriptor)


def core_config(settings: GatewaySettings) -> CoreConfig:
    """Return the core's configuration: its defaults, with what the settings override."""
    overrides = settings.core
    changes: dict[str, object] = {
        name: value
        for name in ("lease_s", "redispatch_s", "half_life_s", "longest_task_s")
        if (value := getattr(overrides, name)) is not None
    }
    if overrides.retention_days is not None:
        changes["retention_s"] = overrides.retention_days * 86_400
    changes["weights"] = tuple(sorted(overrides.weights.items()))
    changes["live_per_session"] = settings.limits.queued_per_session
    changes["publish_hz"] = settings.limits.events_hz
    return msgspec.structs.replace(CoreConfig(), **changes)


def enrolments(settings: GatewaySettings, places: Places, user: KeyPair) -> list[Enrolment]:
    """Return the keys a gateway vouches for: its own agents', and an embedded one's owner's.

    Others are those that the settings name (`configured_keys`).
    """
    keys = private_directory(places.keys)
    known = [
        Enrolment(
            key=key_id(user.public),
            role=Role.USER,
            uid=os.getuid(),
            tenant=f"local/{user_name()}",
            note="owner of this embedded gateway",
        )
    ]
    if not settings.embedded:
        known.clear()
    known += [
        Enrolment(
            key=key_id(keys_at(keys / f"agent-{agent.device}.key").public),
            role=Role.AGENT,
            device=agent.device,
            note="embedded agent" if settings.embedded else "agent of this host",
        )
        for agent in settings.agents
    ]
    return known


def configured_keys(settings: GatewaySettings) -> list[Enrolment]:
    """Return the keys that the settings name, with their roles.

    Raises
    ------
    AuthError
        If one is not a key.
    """
    return [
        Enrolment(
            key=key_id(known.public), role=Role(known.role), device=known.device or None, note=known.note
        )
        for known in settings.keys
    ]


def user_name() -> str:
    """Return the name of the user this process runs as; her uid where she has none."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def against_slurm(settings: SlurmSettings) -> tuple[JobCache, Verifying]:
    """Return what looks into proofs with MUNGE and Slurm, and the cached query behind it. Asks nothing yet."""
    slurm = Slurm(
        SlurmCommands(
            squeue=settings.squeue,
            scontrol=settings.scontrol,
            sinfo=settings.sinfo,
            config=settings.config,
            timeout_s=settings.timeout_s,
        )
    )
    cache = JobCache(slurm.jobs, interval_s=settings.interval_s)
    verifier = SlurmVerifier(
        (lambda: settings.cluster) if settings.cluster else slurm.cluster_name,
        cache,
        slurm.nodes,
        aliases=settings.addresses,
    )
    verifying = Verifying(
        partial(munge.decode, path=settings.munge_socket),
        verifier,
        licence_prefix=settings.licence_prefix,
        licence_required=settings.licence_required,
    )
    return cache, verifying


async def _serve(
    settings: GatewaySettings, places: Places, store: TaskStore, clock: GatewayClock, log: GatewayLog
) -> None:
    server = keys_at(places.state / "server.key")
    user = keys_at(private_directory(places.keys) / "user.key")
    started_ms = clock.now_ms()
    identity = Identity(
        gateway=settings.name,
        software=f"qmio_jupyter/{__version__}",
        started_ms=started_ms,
        key=key_id(server.public),
        store="sqlite",
        log=str(places.state / "gateway.jsonl"),
        server_key=server.public,
        uid=os.geteuid(),
        session_lease_s=settings.slurm.lease_s if settings.verifier else None,
        owner_uid=os.getuid() if settings.embedded else None,
        proofs=settings.slurm.proofs,
        controllers=settings.slurm.controllers,
        limits=msgspec.convert(msgspec.structs.asdict(settings.limits), Limits),
    )
    config = core_config(settings)

    def reload(live: LiveState) -> Core:
        return Core(config, live, live.epoch + 1, clock.now_ms())

    desk = Desk(
        reload(store.load_live()),
        identity=identity,
        ids=lambda p: _mint(p, clock),
        nonces=token_bytes if settings.verifier else None,
    )
    vouched = configured_keys(settings) + enrolments(settings, places, user)
    # Nothing of these turns is sent to anybody: only the records matter.
    first = join([desk.start(), desk.enrol(vouched, clock.now_ms())])
    store.commit(first.records).result(START_S)

    router = Router(
        server,
        settings.endpoint,
        allow_remote=not settings.embedded,
        limits_of=desk.limits_of,
        is_known=desk.is_known,
        tuning=Tuning(message_bytes=settings.limits.message_bytes),
    )
    cache, verifying = against_slurm(settings.slurm) if settings.verifier else (None, None)
    try:
        devices = [agent.device for agent in settings.agents if agent.is_started]
        opening = Opening(devices, desk.has_announced, desk.is_user, clock.now_ms())
        service = Service(
            desk,
            router,
            store,
            reload=reload,
            clock=clock,
            log=log,
            opening=opening,
            verifying=verifying,
            idle_s=settings.idle_s if settings.embedded else None,
            outruns=settings.dispatches_early,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, service.stop)

        def failed(device: str, reason: str) -> None:
            opening.give_up(device)
            desk.troubles.tell(device, reason)

        supervisor = Supervisor(devices, places.state, log.event, on_failed=failed)
        with _announced(places, settings, router, user, started_ms):
            log.event(
                "listening", endpoint=router.endpoint, epoch=desk.core.epoch, pid=os.getpid(), devices=devices
            )
            notify.ready()
            supervisor.start()
            try:
                await service.run(before_flush=supervisor.stop)
            finally:
                await supervisor.stop()
    finally:
        if cache is not None and verifying is not None:
            cache.close()
            verifying.close()
        router.close()


@contextlib.contextmanager
def _announced(
    places: Places, settings: GatewaySettings, router: Router, user: KeyPair, started_ms: int
) -> Iterator[None]:
    """Keep a connection file while the gateway listens."""
    connection_file.write(
        places.connection_file,
        ConnectionFile(
            host=connection_file.this_host(),
            boot_id=connection_file.this_boot(),
            pid=os.getpid(),
            endpoint=router.endpoint,
            server_key=router.server_key,
            public_key=user.public,
            secret_key=user.secret,
            uid=os.getuid(),
            gateway=settings.name,
            started_ms=started_ms,
        ),
    )
    try:
        yield
    finally:
        # The lock is still held: it is ours.
        with contextlib.suppress(FileNotFoundError):
            places.connection_file.unlink()


def _mint(prefix: str, clock: GatewayClock) -> str:
    return mint(prefix, clock.now_ms(), token_bytes(10))
