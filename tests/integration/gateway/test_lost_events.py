"""Events may be lost: a gap in the revisions makes the client ask, and so does a long silence."""

import textwrap

from qmio_jupyter.model.task import TaskState

#: A daemon that loses events: those for which `lose(view, number)` is true.
DAEMON = textwrap.dedent(
    """
    import sys
    from qmio_jupyter.cli import daemon
    from qmio_jupyter.gateway.outbox import Outbox
    from qmio_jupyter.model.task import TaskState
    from qmio_jupyter.wire.messages import TaskEvent

    lose = {lose}
    put = Outbox.put

    def lossy(self, connection, packet):
        body = packet.envelope.body
        if not (isinstance(body, TaskEvent) and lose(body.view)):
            put(self, connection, packet)

    Outbox.put = lossy
    sys.argv = ["daemon", "gateway", "--embedded"]
    daemon.main()
    """
)


def start(home, lose):
    home.start(("-c", DAEMON.format(lose=lose)))
    return home.ready()


def watches(home, client, task_id):
    log = home.log_after(client)
    return [line for line in log if line.get("tag") == "task.watch" and line["task_id"] == task_id]


def test_a_gap_in_the_revisions_makes_the_client_ask(home):
    client = start(home, "lambda view: view.state is TaskState.CLAIMED or view.revision == 3")
    handle = home.submit(client, seconds=1, partials=0)
    seen = []
    assert handle.wait(30, on_change=lambda view, _: seen.append(view)).state is TaskState.COMPLETED
    assert watches(home, client, handle.task_id)
    revisions = [view.revision for view in seen]
    assert revisions == sorted(revisions)


def test_with_no_event_at_all_every_task_still_ends(home):
    client = start(home, "lambda view: True")
    handles = [home.submit(client, f"n{n}") for n in range(5)]
    assert {handle.wait(60).state for handle in handles} == {TaskState.COMPLETED}
    assert all(watches(home, client, handle.task_id) for handle in handles)
