"""``%%qpu`` and ``%qpu`` as IPython sees them: parse, do, show. Errors are ours, one line, and fail the cell.

IPython's own UsageError is never raised: nbmake would take such a notebook for a good one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, needs_local_scope, no_var_expand

from qmio_jupyter.display import table
from qmio_jupyter.errors import UsageError
from qmio_jupyter.notebook import api, link
from qmio_jupyter.notebook import run as running
from qmio_jupyter.notebook.binding import evaluate
from qmio_jupyter.notebook.circuits import as_programs, body_value
from qmio_jupyter.notebook.grammar import Command, RunOptions, help_text, parse_cell, parse_line
from qmio_jupyter.notebook.live.screens import screen_for
from qmio_jupyter.notebook.values import task_in

if TYPE_CHECKING:
    from qmio_jupyter.client.sync_handle import TaskHandle
    from qmio_jupyter.display.result_page import Bundle
    from qmio_jupyter.notebook.live.screens import Screen

#: The variable that holds the handle of the last task.
LAST = "_qpu"


@magics_class
class QpuMagics(Magics):
    """The magics. One object per shell."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self._shell = shell

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def qpu(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None
    ) -> TaskHandle | None:
        """Run the cell on a quantum device, or ask about devices and tasks.

        ``%%qpu [options]`` above OpenQASM 3, OpenQASM 2, or Python that ends with a circuit or a list of
        circuits; ``%qpu SUBCOMMAND`` for everything else. ``%qpu help`` lists all of it.

        Examples
        --------
        ::

            %%qpu -d ideal -n 1000 -o bell
            OPENQASM 3.0;
            include "stdgates.inc";
            qubit[2] q;
            bit[2] c;
            h q[0];
            cx q[0], q[1];
            c = measure q;

            %qpu run circuit -n 500 --bind theta=[0, 0.5, 1]
            %qpu attach last
        """
        __tracebackhide__ = True
        if cell is None:
            command = parse_line(line)
            if not command.help:
                return self._line(command, local_ns or {})
            text = help_text(None if command.word == "help" else command.word)
        else:
            command = parse_cell(line)
            if not command.help:
                return self._cell(command.run, cell)
            text = help_text(command.word)
        self._show(text)
        return None

    # ------------------------------------------------------------ running

    def _cell(self, asked: RunOptions, body: str) -> TaskHandle | None:
        __tracebackhide__ = True
        shell = self._shell
        name = shell.compile.cache(body, shell.execution_count, raw_code=body)
        value = body_value(body, asked.lang, shell.user_ns, filename=name, transform=shell.transform_cell)
        return self._run(value, asked, shell.user_ns, "the cell's last value")

    def _run(
        self, value: Any, asked: RunOptions, namespace: Mapping[str, Any], what: str
    ) -> TaskHandle | None:
        programs = as_programs(value, lang=asked.lang, what=what)
        values = evaluate(asked.bind, namespace)
        defaults = link.defaults()
        quiet = asked.quiet or defaults.quiet
        if asked.dry_run:
            found = running.estimate(link.client(), programs, asked, defaults, values)
            if asked.out is not None:
                self._shell.user_ns[asked.out] = found
            from qmio_jupyter.display.dry_run import dry_run_text

            screen_for(self._shell, quiet=quiet).final({"text/plain": dry_run_text(found)})
            return None
        handle = running.submit(link.client(), programs, asked, defaults, values)
        self._keep(handle, asked.out)
        if asked.no_wait:
            return None if quiet else handle
        timeout_s = asked.timeout if asked.timeout is not None else defaults.timeout
        self._follow(handle, screen_for(self._shell, quiet=quiet, mode=defaults.live), timeout_s=timeout_s)
        return None

    def _follow(
        self, handle: TaskHandle, screen: Screen, *, timeout_s: float | None = None, cancel: bool = True
    ) -> None:
        try:
            running.follow(link.client(), handle, screen, timeout_s=timeout_s, cancel_on_interrupt=cancel)
        except KeyboardInterrupt as stop:
            # The screen has said what became of the task; where we waited is of no use to anybody.
            stop._render_traceback_ = lambda: ["KeyboardInterrupt"]  # type: ignore[attr-defined]
            raise

    def _keep(self, handle: TaskHandle, out: str | None) -> None:
        self._shell.user_ns[LAST] = handle
        if out is not None:
            self._shell.user_ns[out] = handle

    # ------------------------------------------------------------ subcommands

    def _line(self, command: Command, local_ns: Mapping[str, Any]) -> TaskHandle | None:
        namespace = {**self._shell.user_ns, **local_ns}
        if command.word == "run":
            name = command.values["variable"]
            if name not in namespace:
                raise UsageError(f"%qpu run: there is no variable {name}", hint="Define it in a cell above.")
            return self._run(namespace[name], command.run, namespace, f"the variable {name}")
        values = dict(command.values)
        if values.get("task") is not None:
            values["task"] = task_in(values["task"], namespace)
        if "tasks" in values:
            values["tasks"] = [task_in(one, namespace) for one in values["tasks"]]
        act = getattr(self, f"_do_{command.word}")
        act(values)
        return None

    def _do_status(self, values: Mapping[str, Any]) -> None:
        if values["task"] is not None:
            return self._put(_pages().task_bundle(api.task_view(values["task"]), now_ms=running.wall_ms()))
        live = [view for view in api.tasks(100) if not view.state.is_final]
        return self._put(_pages().gateway_bundle(api.gateway(), live))

    def _do_tasks(self, values: Mapping[str, Any]) -> None:
        self._put(_pages().tasks_bundle(api.tasks(values["limit"] or 20, state=values["state"])))

    def _do_attach(self, values: Mapping[str, Any]) -> None:
        handle = api.attach(values["task"], expect=values["expect"])
        self._keep(handle, values["out"])
        self._follow(handle, screen_for(self._shell, mode=link.defaults().live), cancel=False)

    def _do_cancel(self, values: Mapping[str, Any]) -> None:
        self._put(_pages().tasks_bundle(api.cancel(values["task"])))

    def _do_result(self, values: Mapping[str, Any]) -> None:
        handle = api.result(values["task"], expect=values["expect"])
        self._keep(handle, values["out"])
        self._put(running.completed(link.client(), handle))
        running.check_expect(handle)

    def _do_devices(self, _values: Mapping[str, Any]) -> None:
        self._put(_pages().devices_bundle(api.devices()))

    def _do_device(self, values: Mapping[str, Any]) -> None:
        view = api.device(values["device"])
        snapshot = None if view.snapshot_id is None else link.client().snapshot(view.snapshot_id)
        self._put(
            _pages().device_bundle(view, snapshot, quantity=values["quantity"], now_ms=running.wall_ms())
        )

    def _do_calibration(self, values: Mapping[str, Any]) -> None:
        snapshot = api.snapshot(values["device"])
        self._put(
            _pages().calibration_bundle(snapshot, quantity=values["quantity"], now_ms=running.wall_ms())
        )

    def _do_compare(self, values: Mapping[str, Any]) -> None:
        self._put(api.compare(*values["tasks"], ideal=values["ideal"]).bundle())

    def _do_replay(self, values: Mapping[str, Any]) -> None:
        api.replay(values["task"], snapshot=values["snapshot"])

    def _do_verify(self, values: Mapping[str, Any]) -> None:
        api.verify(values["task"])

    def _do_session(self, _values: Mapping[str, Any]) -> None:
        self._put(_pages().session_bundle(api.session()))

    def _do_config(self, values: Mapping[str, Any]) -> None:
        found = api.configure(**dict(values["settings"]))
        self._show(
            table.settings_text([(name, _said(getattr(found, name))) for name in found.__struct_fields__])
        )

    def _show(self, text: str) -> None:
        self._put({"text/plain": text})

    def _put(self, bundle: Bundle) -> None:
        screen_for(self._shell).final(bundle)


def _pages() -> Any:
    """Return the pages of tables: loaded when the first one is shown."""
    from qmio_jupyter.display import table_page

    return table_page


def _said(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
