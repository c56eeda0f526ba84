"""The spawner: `c.JupyterHub.spawner_class = "qmio"`. What JupyterHub calls, and what an administrator configures.

Everything it decides is in the other modules of this room; here are the traits and the glue. Names of traits are
batchspawner's where they mean the same. The file is long because JupyterHub wants all of them,
and its calls, on one class.
"""

from __future__ import annotations

import asyncio
import grp
import os
import re
import sys
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from secrets import token_bytes
from typing import TYPE_CHECKING, Any

import msgspec
from jupyterhub.spawner import Spawner
from jupyterhub.utils import make_ssl_context
from sqlalchemy.orm import object_session
from tornado import web
from traitlets import (
    Bool,
    Callable,
    Dict,
    Float,
    Integer,
    List,
    TraitError,
    Unicode,
    Union,
    default,
    validate,
)

from qmio_jupyter.config.settings import GatewayAddress
from qmio_jupyter.errors import ConfigError, HubError, QmioError
from qmio_jupyter.hub import options as o
from qmio_jupyter.hub import report as report  # noqa: PLC0414 - importing it makes its route known to the hub
from qmio_jupyter.hub import saga as s
from qmio_jupyter.hub.check import Request, check
from qmio_jupyter.hub.environment import job_environment
from qmio_jupyter.hub.form import form
from qmio_jupyter.hub.journal import Entry
from qmio_jupyter.hub.names import Account, account_of
from qmio_jupyter.hub.offer import Limits, Offer, Profile
from qmio_jupyter.hub.offering import offer_of
from qmio_jupyter.hub.office import Office
from qmio_jupyter.hub.patience import patience_s, within
from qmio_jupyter.hub.ports import ports_of
from qmio_jupyter.hub.presence import is_present
from qmio_jupyter.hub.saga import Saga
from qmio_jupyter.hub.starting import Start, goes_on
from qmio_jupyter.hub.waiting import line, page, percent
from qmio_jupyter.model.ids import mint
from qmio_jupyter.slurm.commands import SlurmCommands
from qmio_jupyter.slurm.verifier import tenant

if TYPE_CHECKING:
    from qmio_jupyter.hub.door import Door

#: Seconds that stopping waits until nothing is left; what is left then goes on being undone.
STOP_S = 30.0


class QmioSpawner(Spawner):  # type: ignore[misc]
    """Gives a Slurm node together with a QPU session, both or neither."""

    # ------------------------------------------------------------ what an administrator configures

    exec_prefix = List(
        Unicode(),
        default_value=["/usr/bin/sudo", "-n", "-E", "-u", "{user}", "--"],
        help="Argument list before commands that act for a user; {user} is her unix name. Empty: all servers run as "
        "the hub's own user, and users are not isolated from one another.",
    ).tag(config=True)
    slurm = Dict(
        help="Fields of SlurmCommands: absolute paths of sbatch, squeue, ...; config; timeout_s."
    ).tag(config=True)
    seal = Bool(
        True,
        help="Hand a server its token through MUNGE once its job runs. False, for a cluster without MUNGE: it travels "
        "in the job's environment, where Slurm may keep it.",
    ).tag(config=True)
    munge_socket = Unicode("", help="munged's socket at the hub; empty: as libmunge finds it.").tag(
        config=True
    )
    door_port = Integer(
        0,
        help="With c.JupyterHub.internal_ssl: port at which nodes report to the hub, beside its own; 0: any free one.",
    ).tag(config=True)
    has_accounts = Bool(
        False, help="The cluster keeps accounts (slurmdbd): offer a user's associations."
    ).tag(config=True)
    user_map = Union(
        [Dict(), Callable()],
        default_value=None,
        allow_none=True,
        help="Hub name to unix name, a dict or a callable; who is not in it cannot start. None: names are the same.",
    ).tag(config=True)
    least_uid = Integer(1000, help="Accounts with a smaller uid are the system's, and are refused.").tag(
        config=True
    )
    gateways = List(
        Dict(),
        help="The gateways in order of preference: endpoint, server_key, and key_file of the hub's own key.",
    ).tag(config=True)
    node_endpoint = Unicode(
        "", help="The first gateway's endpoint as the nodes reach it; empty: as the hub does."
    ).tag(config=True)
    server_ports = Unicode(
        "",
        help="Ports at which servers listen on their nodes, FIRST-LAST, for a firewall there; empty: any free one.",
    ).tag(config=True)
    licence_prefix = Unicode(
        "qpu_", help="A device's Slurm licence is called so, followed by the device's name."
    ).tag(config=True)
    device_gres = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Where a site counts sessions as generic resources, too: device to gres, as {'qmio': 'qpu:qmio:1'}.",
    ).tag(config=True)
    journal = Unicode("qmio-hub-journal", help="Directory for what is begun and not yet undone.").tag(
        config=True
    )
    profiles = List(Dict(), help="Ready choices: name, title, note, and options.").tag(config=True)
    limits = Dict(
        help="cores, memory_mib, walltime_min, most_walltime_min: defaults and the hub's own limit."
    ).tag(config=True)
    partitions = List(Unicode(), help="Partitions that are offered; empty: all a user may use.").tag(
        config=True
    )
    python = Unicode(sys.executable, help="The interpreter on the nodes that has qmio_jupyter.").tag(
        config=True
    )
    node_path = Unicode("/usr/local/bin:/usr/bin:/bin", help="PATH on the nodes.").tag(config=True)
    req_partition = Unicode("", help="Partition where none is chosen.").tag(config=True)
    req_account = Unicode("", help="Account where none is chosen.").tag(config=True)
    req_qos = Unicode("", help="QOS where none is chosen.").tag(config=True)
    req_reservation = Unicode("", help="Reservation where none is chosen.").tag(config=True)
    startup_poll_interval = Float(1.0, help="Seconds between two looks at what a waiting user is told.").tag(
        config=True
    )

    http_timeout = Integer(
        120, help="Seconds a server may take to answer once it has said where it will listen."
    ).tag(config=True)
    start_timeout = Integer(4 * 3600, help="Seconds a server may wait for its node.").tag(config=True)

    @validate("server_ports")
    def _ports(self, proposal: Any) -> str:
        text = str(proposal["value"])
        try:
            ports_of(text)
        except ConfigError as error:
            raise TraitError(error.one_line()) from error
        return text

    @default("cmd")
    def _cmd(self) -> list[str]:
        return [str(Path(self.python).with_name("jupyterhub-singleuser"))]

    @default("options_from_form")
    def _from_form(self) -> Any:
        return lambda found: self._plain(lambda: o.as_json(o.from_form(found)))

    @default("options_form")
    def _form(self) -> Any:
        return type(self)._render

    @default("apply_user_options")
    def _apply(self) -> Any:
        return type(self)._resolve

    # ------------------------------------------------------------ life

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._saga: Saga | None = None
        self._start: Start | None = None
        self._request: Request | None = None

    @property
    def office(self) -> Office:
        """What this hub's spawners share."""
        journal = Path(self.journal).absolute()

        def make() -> Office:
            made = Office(
                SlurmCommands(**{**self.slurm, "run_as": tuple(self.exec_prefix)}),
                [GatewayAddress(**one) for one in self.gateways],
                journal,
                has_accounts=self.has_accounts,
            )
            swept = made.sweep(self._served())
            if swept:
                self.log.info("an earlier hub process left %d starts to undo", len(swept))
            return made

        return Office.of(journal, make)

    def _served(self) -> set[str]:
        """Return the grants of all servers that the hub's database says are running."""
        session = object_session(self.orm_spawner)
        if session is None:
            return set()
        states = (one.state for one in session.query(type(self.orm_spawner)) if one.server is not None)
        sagas = (s.decode((state or {}).get("qmio")) for state in states)
        return {saga.grant_id for saga in sagas if saga is not None and saga.port and not saga.is_undoing}

    @property
    def account(self) -> Account:
        """The user's unix account.

        Raises
        ------
        HubError
            ``hub.account`` if she has none.
        """
        if self.exec_prefix:
            return account_of(self.user.name, self.user_map, least_uid=self.least_uid)
        home = os.path.expanduser("~")  # noqa: PTH111 - as the shell sees it
        name = _own_name()
        return Account(name=name, uid=os.getuid(), gid=os.getgid(), home=home)

    # ------------------------------------------------------------ internal TLS

    async def create_certs(self) -> dict[str, str]:
        """Return none: a server's key is made on its node, and the hub signs its certificate when the job runs."""
        return {}

    def _door(self) -> Door | None:
        """Return where nodes report that have no certificate yet; None without internal TLS."""
        if not self.internal_ssl:
            return None
        office = self.office
        if office.door is None:
            from certipy import Certipy

            from qmio_jupyter.hub.door import Door

            settings = {**self.user.settings, "internal_trust_bundles": self.internal_trust_bundles}
            records = Certipy(store_dir=self.internal_certs_location).store.store
            office.door = Door(
                settings, records, bind=self.hub.bind_url, connect=self.hub.url, port=self.door_port
            )
            self.log.info("internal TLS: nodes report their starts at %s", office.door.url)
        return office.door

    # ------------------------------------------------------------ choosing

    def options_from_query(self, query_data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a link: the same, read as a form's."""
        return self._plain(lambda: o.as_json(o.from_form(query_data)))

    async def _render(self) -> str:
        try:
            found = await self.offer()
        except QmioError as error:
            return f'<p role="alert" class="alert alert-warning">{_escaped(error)}</p>'
        kept = self.orm_spawner.user_options if self.orm_spawner is not None else None
        try:
            last = o.from_json(kept) if kept else None
        except QmioError:
            last = None
        ended = self.office.ends.get((self.user.name, self.name), "")
        return form(found, last, ended, is_one_user=not self.exec_prefix)

    async def _resolve(self, user_options: Mapping[str, Any]) -> None:
        """Make a complete request of what was asked for, or refuse it before anything is submitted."""
        try:
            wish = o.from_json(user_options)
            fallback = o.Options(
                partition=self.req_partition,
                account=self.req_account,
                qos=self.req_qos,
                reservation=self.req_reservation,
            )
            found = await self.offer()
            profile = found.profile(wish.profile)
            if profile is not None:
                fallback = o.filled(profile.options, fallback)
            self._request = check(o.filled(wish, fallback), found)
        except QmioError as error:
            raise Refusal(error) from error

    async def offer(self) -> Offer:
        """Return what this user may choose from now.

        Raises
        ------
        QmioError
            If she has no account, or Slurm or the gateway does not answer.
        """
        office, account = self.office, self.account
        picture, answer, devices, associations, qos = await asyncio.gather(
            office.cluster.picture(),
            office.cluster.jobs(),
            office.devices(),
            office.cluster.associations(account.name),
            office.cluster.qos(),
        )
        return offer_of(
            picture,
            answer.jobs,
            devices,
            user=account.name,
            groups=_groups(account),
            associations=associations,
            qos=qos,
            gres=self.device_gres,
            licence_prefix=self.licence_prefix,
            profiles=[_configured(one, Profile, "profiles") for one in self.profiles],
            limits=_configured(self.limits, Limits, "limits"),
            shown=self.partitions,
            now_ms=office.now_ms(),
        )

    # ------------------------------------------------------------ starting

    async def start(self) -> tuple[str, int]:
        """Bring about grant, job and session; whatever fails, nothing of them is left."""
        try:
            return await self._bring_about()
        except QmioError as error:
            await self._undo(patience_s=5.0)
            raise Refusal(error) from error
        except BaseException:
            await self._undo(patience_s=0.0)
            raise

    async def _bring_about(self) -> tuple[str, int]:
        account, request = self.account, self._request
        if request is None:
            await self._resolve(self.user_options)
            request = self._request
        assert request is not None
        office = self.office
        saga = Saga(grant_id=mint("g", office.now_ms(), token_bytes(10)))
        gateway = msgspec.structs.replace(
            GatewayAddress(**self.gateways[0]),
            **({"endpoint": self.node_endpoint} if self.node_endpoint else {}),
        )
        public, secret = job_environment(
            self.get_env(),
            account=account,
            python=self.python,
            command=[*self.cmd, *self.get_args()],
            grant_id=saga.grant_id,
            gateway=gateway,
            device=request.device,
            path=self.node_path,
            walltime_min=request.walltime_min,
        )
        entry = Entry(saga=saga, user=self.user.name, owner=account.name, server=self.name)
        if self.server_ports:
            public |= {"QMIO_HUB_PORTS": self.server_ports}
        if self.seal:
            public |= {"QMIO_HUB_UID": str(os.getuid())}
        door = self._door()
        if door is not None:
            public |= {"QMIO_HUB_DOOR": door.url, "QMIO_HUB_TRUST": door.trust}
        start = Start(
            office,
            entry,
            request,
            account,
            tenant(request.account, account.name),
            self._written,
            self._is_ours,
            token=self.api_token,
            secrets=secret if self.seal else None,
            munge_socket=self.munge_socket,
            authority=None if door is None else door.authority,
            ports=ports_of(self.server_ports),
            server_s=self.http_timeout,
        )
        self._start = start
        office.starts[saga.grant_id] = start
        office.ends.pop((self.user.name, self.name), None)
        environ = public if self.seal else {**public, **secret}
        return await within(patience_s(self.start_timeout), start, environ)

    def _written(self, saga: Saga) -> None:
        """Keep where the start stands in the hub's database, too."""
        self._saga = saga
        self.orm_spawner.state = self.get_state()
        session = object_session(self.orm_spawner)
        if session is not None:
            session.commit()

    async def _is_ours(self, address: str, port: int) -> bool:
        """Return whether who listens there is this server: a port of a shared node may be somebody else's."""
        settings = self.user.settings
        context = make_ssl_context(
            settings.get("internal_ssl_key"),
            settings.get("internal_ssl_cert"),
            cafile=settings.get("internal_ssl_ca"),
        )
        host = f"[{address}]" if ":" in address else address
        assert self.server is not None, "JupyterHub makes it before a start"
        base = f"{'http' if context is None else 'https'}://{host}:{port}{self.server.base_url}"
        return await is_present(base, self.api_token, context)

    async def progress(self) -> AsyncGenerator[dict[str, Any], None]:
        """Tell a waiting user where her start stands, whenever that changes."""
        told = ""
        while True:
            if self._start is not None:
                text = line(self._start.waiting)
                if text != told:
                    told = text
                    html = page(self._start.waiting)
                    yield {"progress": percent(self._start.waiting), "message": text, "html_message": html}
            await asyncio.sleep(self.startup_poll_interval)

    # ------------------------------------------------------------ running

    async def poll(self) -> int | None:
        """Return None while the job is there, or nobody can say that it is not; 0 once it is gone."""
        saga = self._saga
        if saga is None:
            return 0
        if saga.is_undoing:
            if self._start is None:
                # An earlier hub process began to stop it, and did not end that.
                await self._undo(patience_s=0.0)
            return 0
        is_starting = self._start is not None and not saga.port
        if is_starting:
            return None
        if not saga.port:
            # An earlier hub process began it and did not end it.
            await self._undo(patience_s=0.0)
            return 0
        try:
            # An answer from before the job was submitted says nothing of it.
            submitted_s = None if self._start is None else self._start.submitted_s
            answer = await self.office.cluster.jobs(after_s=submitted_s)
        except QmioError as error:
            self.log.warning("%s: %s; its server is taken to run", self._log_name, error.one_line())
            return None
        if goes_on(saga, answer.by_id.get(int(saga.job_id))):
            return None
        how = self.office.ends[self.user.name, self.name] = await self.office.how_ended(saga)
        self.log.info(
            "%s: Slurm job %s has ended, or is not where it said: %s", self._log_name, saga.job_id, how
        )
        await self._undo(patience_s=0.0)
        return 0

    async def stop(self, now: bool = False) -> None:  # noqa: ARG002 - cancelling is as graceful as Slurm has it
        """Take everything back; what cannot be at once goes on being taken back when this returns."""
        await self._undo(patience_s=STOP_S)

    async def _undo(self, *, patience_s: float) -> None:
        saga, start = self._saga, self._start
        if saga is None:
            return
        office = self.office
        if start is not None:
            task = await start.undo()
        else:
            entry = Entry(saga=saga, user=self.user.name, owner=self._owner(), server=self.name)
            task = office.undoer.undo(entry)
        office.starts.pop(saga.grant_id, None)
        # Else a hub that is killed now would take the server for running when it is started again.
        self._written(s.undoing(saga))
        if patience_s:
            await asyncio.wait({task}, timeout=patience_s)

    def _owner(self) -> str:
        """Return the unix user of a job that an earlier hub process submitted."""
        for entry in self.office.journal.entries():
            if self._saga is not None and entry.saga.grant_id == self._saga.grant_id:
                return entry.owner
        return self.account.name

    # ------------------------------------------------------------ what the hub keeps

    def get_state(self) -> dict[str, Any]:
        """Return what lets another hub process go on with this server."""
        state: dict[str, Any] = super().get_state()
        if self._saga is not None:
            state["qmio"] = s.encode(self._saga)
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over from an earlier hub process."""
        super().load_state(state)
        self._saga = s.decode(state.get("qmio"))

    def clear_state(self) -> None:
        """Forget a server that has ended."""
        super().clear_state()
        self._saga = self._start = None

    def get_args(self) -> list[str]:
        """Return the server's arguments.

        Kernels speak over sockets of the user's own, not over the network, and have the magics from their start.
        """
        found: list[str] = super().get_args()
        manager = "qmio_jupyter.hub.kernels.MagicKernelManager"
        return [
            *found,
            "--KernelManager.transport=ipc",
            f"--AsyncMappingKernelManager.kernel_manager_class={manager}",
        ]

    @staticmethod
    def _plain(make: Any) -> dict[str, Any]:
        try:
            found: dict[str, Any] = make()
            return found
        except QmioError as error:
            raise Refusal(error) from error


class Refusal(web.HTTPError):
    """Why a server is not started, as JupyterHub shows it to its user and writes it to its log."""

    def __init__(self, error: QmioError) -> None:
        super().__init__(503 if error.retryable else 400, "%s", error.one_line())
        text = f"{error.message}. {error.hint}" if error.hint else error.message
        #: Shown in place of "Unhandled error".
        self.jupyterhub_message = f"{text[:1].upper()}{text[1:]}"


def _configured(found: Mapping[str, Any], kind: Any, what: str) -> Any:
    try:
        return msgspec.convert(dict(found), type=kind)
    except msgspec.ValidationError as problem:
        raise ConfigError(
            f"c.QmioSpawner.{what}: {problem}", hint="Correct the hub's configuration."
        ) from problem


def _groups(account: Account) -> list[str]:
    found = []
    for gid in os.getgrouplist(account.name, account.gid):
        try:
            found.append(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue
    return found


def _own_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        raise HubError("the hub's own user has no account", code="hub.account") from None


def _escaped(error: QmioError) -> str:
    from html import escape

    text = re.sub(r"^\[[a-z_.]+\] ", "", error.one_line())
    return escape(text[:1].upper() + text[1:])
