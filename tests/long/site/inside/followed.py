"""From nothing to a task of a user: the guide's sections in order, each as it stands on the page."""

from __future__ import annotations

from qmio_jupyter.testing.host import Host

LAST = "8. Check it"


def test_up_to_the_check(host: Host) -> None:
    sections = host.sections()
    for heading in sections[: sections.index(LAST)]:
        host.follow(heading)


def test_everything_is_good_and_a_task_of_a_user_runs(host: Host) -> None:
    output = host.follow(LAST)
    print(output)
    lines = output.splitlines()
    checks = [line for line in lines if " site." in line]
    assert len(checks) > 35
    assert all(line.startswith("ok ") for line in checks)
    assert any("completed, 200 shots" in line for line in lines)
