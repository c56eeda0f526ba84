"""After a failed commit: throw the core away, and go on from the ledger as soon as it can be written again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from qmio_jupyter.core.core import Core
from qmio_jupyter.core.records import LiveState
from qmio_jupyter.errors import QmioError
from qmio_jupyter.gateway.commits import Commits
from qmio_jupyter.gateway.log import GatewayLog
from qmio_jupyter.ports import TaskStore

#: Seconds until the ledger is tried again: first and longest pause.
PROBE_S = 0.25
PROBE_MAX_S = 5.0


class Recovery:
    """Tries the ledger until a new core's first records are on disk.

    Parameters
    ----------
    store : TaskStore
        The ledger.
    commits : Commits
        What is still under way; heard of before anything is tried.
    reload : callable
        Makes the next core of what the ledger holds, with the next epoch.
    adopt : callable
        Called in the loop with a core whose first records are on disk.
    log : GatewayLog
        Where attempts are written down.
    """

    def __init__(
        self,
        store: TaskStore,
        commits: Commits,
        *,
        reload: Callable[[LiveState], Core],
        adopt: Callable[[Core], None],
        log: GatewayLog,
    ) -> None:
        self._store = store
        self._commits = commits
        self._reload = reload
        self._adopt = adopt
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._pause_s = PROBE_S
        self._is_closed = False

    def begin(self) -> None:
        """Start trying, unless that is under way."""
        if self._timer is None:
            self._again(PROBE_S)

    def close(self) -> None:
        """Try no more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _again(self, pause_s: float) -> None:
        if not self._is_closed:
            self._timer = self._loop.call_later(pause_s, self._try)

    def _try(self) -> None:
        if self._commits.under_way:
            # What was queued before `resume` fails as well: hear of it first.
            self._again(PROBE_S)
            return
        try:
            self._store.resume()
            core = self._reload(self._store.load_live())
            commit = self._store.commit(core.start_records())
        except Exception as error:  # noqa: BLE001 - to give up here would be to refuse everything for ever
            self._failed(error)
            return
        commit.add_done_callback(
            lambda done: self._loop.call_soon_threadsafe(self._tried, core, done.exception())
        )

    def _tried(self, core: Core, error: BaseException | None) -> None:
        if error is not None:
            self._failed(error)
            return
        self._timer = None
        self._pause_s = PROBE_S
        self._log.event("reloaded", epoch=core.epoch)
        if not self._is_closed:
            self._adopt(core)

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, Exception) and not isinstance(error, QmioError):
            self._log.defect(error)
        self._log.event("ledger still down", level="error", error=str(error), again_in_s=self._pause_s)
        self._again(self._pause_s)
        self._pause_s = min(self._pause_s * 2, PROBE_MAX_S)
