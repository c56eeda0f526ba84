"""A state machine over what nodes say of Slurm jobs: prologs, epilogs, sessions, time and restarts in any order.

Beside it runs the plainest model of what ought to be kept; after every step core and ledger must agree with it.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from qmio_jupyter.core.config import CoreConfig
from qmio_jupyter.core.inputs import EndAllocation, EndJobSessions, HandSecret, OpenSession
from qmio_jupyter.testing.cores import Bench

#: Nodes and where they speak from.
NODES = {"n1": "10.0.0.1", "n2": "10.0.0.2", "n3": "10.0.0.3"}
#: Jobs and the nodes that they run on.
JOBS = {"7": ("n1", "n2"), "8": ("n2",), "9": ("n3",)}
KEPT_S, MOST = 60.0, 4

nodes = st.sampled_from(sorted(NODES))
jobs = st.sampled_from(sorted(JOBS))


class Nodes(RuleBasedStateMachine):
    """Anything may be said by any node."""

    @initialize()
    def begin(self) -> None:
        self.bench = Bench(CoreConfig(job_secret_s=KEPT_S, job_secrets=MOST))
        #: (job, node) -> (hash, address, when), oldest first; and which job's session a key has.
        self.secrets: dict[tuple[str, str], tuple[bytes, str, int]] = {}
        self.sessions: dict[str, str] = {}
        self.count = 0

    @rule(job=jobs, node=nodes, speaks_from=nodes)
    def prolog(self, job: str, node: str, speaks_from: str) -> None:
        self.count += 1
        check = self.count.to_bytes(32, "big")
        request = HandSecret(
            origin=self.bench.origin("root"), cluster="c", job_id=job, node=node, uid=1, check=check,
            address=NODES[speaks_from],
        )  # fmt: skip
        self.bench.do(request)
        self.secrets.pop((job, node), None)
        if len(self.secrets) >= MOST:
            del self.secrets[next(iter(self.secrets))]
        self.secrets[job, node] = (check, NODES[speaks_from], self.bench.now_ms)

    @rule(job=jobs, node=nodes, speaks_from=st.sampled_from([*sorted(NODES), None]), names_it=st.booleans())
    def epilog(self, job: str, node: str, speaks_from: str | None, names_it: bool) -> None:
        address = None if speaks_from is None else NODES[speaks_from]
        self.bench.do(
            EndAllocation(
                origin=self.bench.origin("root"), cluster="c", job_id=job, node=node if names_it else "",
                address=address,
            )
        )  # fmt: skip
        for name, (_, told_from, _) in list(self.secrets.items()):
            is_named = name == (job, node) if names_it else name[0] == job
            if is_named and address in (None, told_from):
                del self.secrets[name]
        where = [NODES[one] for one in JOBS[job]]
        if address is None or address in where:
            self.sessions = {key: of for key, of in self.sessions.items() if of != job}

    @rule(job=jobs, key=st.sampled_from(["ana", "bob", "cy"]))
    def open(self, job: str, key: str) -> None:
        if self.sessions.get(key, job) != job:
            return
        self.count += 1
        self.bench.do(
            OpenSession(
                origin=self.bench.origin(key), session_id=f"s-{self.count}", uid=1, tenant="physics/ana", lease_s=None,
                cluster="c", job_id=job, submit_ms=5, addresses=tuple(NODES[node] for node in JOBS[job]),
            )
        )  # fmt: skip
        self.sessions[key] = job

    @rule(job=jobs)
    def slurm_says_that_it_is_over(self, job: str) -> None:
        self.bench.do(EndJobSessions(cluster="c", job_id=job, run=(5, 0)))
        self.sessions = {key: of for key, of in self.sessions.items() if of != job}

    @rule(ms=st.sampled_from([0, 1, 20_000, 61_000]))
    def wait(self, ms: int) -> None:
        self.bench.tick(ms)
        self._forget_old()

    @rule(ms=st.sampled_from([0, 30_000, 90_000]))
    def die(self, ms: int) -> None:
        self.bench.restart(ms)
        self.bench.tick()
        self._forget_old()

    def _forget_old(self) -> None:
        until_ms = self.bench.now_ms - round(KEPT_S * 1000)
        self.secrets = {name: one for name, one in self.secrets.items() if one[2] > until_ms}

    @invariant()
    def core_and_ledger_know_what_they_ought_to(self) -> None:
        kept = {(one.job_id, one.node): one for one in self.bench.core.state.job_secrets.values()}
        # What is due is forgotten with the next tick: before it, an input may still find it.
        assert {name: (one.check, one.address, one.handed_ms) for name, one in kept.items()} == self.secrets
        live = self.bench.ledger.load_live()
        assert {one.name for one in live.job_secrets} == {one.name for one in kept.values()}
        open_now = {one.key: one.job_id for one in live.sessions}
        assert open_now == self.sessions
        assert {key for key in ("ana", "bob", "cy") if self.bench.core.has_session(key)} == set(self.sessions)


TestNodes = Nodes.TestCase
TestNodes.settings = settings(
    deadline=None, derandomize=True, max_examples=40, stateful_step_count=30, print_blob=True
)
