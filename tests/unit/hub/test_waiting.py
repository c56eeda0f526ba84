"""What a waiting user reads."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from qmio_jupyter.hub.waiting import DeviceNow, Waiting, eta, line, page, percent, too_long
from qmio_jupyter.hub.words import HOPELESS, REASONS, ending, is_hopeless, why

PENDING = Waiting(stage="pending", partition="ilk", reason="Resources", ahead=2, start_s=600)
DEVICE = DeviceNow(name="qmio", state="busy", tasks=3)


def test_pending_says_why_where_and_when() -> None:
    assert line(PENDING) == (
        "Waiting in partition ilk: no node of this size is free yet (a smaller request would start sooner); "
        "2 jobs ahead of you; ready in 3 s to 10 min (the longer time if every job ahead takes all of its own)"
    )


def test_without_a_plan_no_time_is_invented() -> None:
    waiting = replace(PENDING, start_s=None, ahead=0, reason="Licenses")
    assert eta(waiting) is None
    assert "you are next" in line(waiting)
    assert "Slurm has not planned its start yet" in line(waiting)
    assert "all shared sessions" in line(waiting)


def test_the_devices_queue_is_the_slow_end_and_runs_while_she_waits() -> None:
    device = replace(DEVICE, cleared_s=(600.0, 900.0))
    # It is over before her job may have to start, or it is not.
    assert eta(replace(PENDING, device=device, start_s=3600)) == (3.0, 3620.0)
    assert eta(replace(PENDING, device=device, start_s=60)) == (3.0, 900.0)
    assert eta(replace(PENDING, stage="opening", device=device)) == (3.0, 900.0)
    assert "3 tasks there, done in 10\N{EN DASH}15 min" in line(replace(PENDING, device=device))


def test_a_booking_puts_both_ends_off() -> None:
    booked = replace(DEVICE, booked_s=3600.0, booked_for="class")
    waiting = replace(PENDING, device=booked)
    assert eta(waiting) == (3600.0, 3600.0)
    assert "device qmio is busy, 3 tasks there; it is booked for others (class), free in 60 min" in line(
        waiting
    )


def test_the_next_booking_is_told() -> None:
    soon = replace(DEVICE, next_booking_s=1800.0, booked_for="calibration")
    assert "booked for others (calibration) in 30 min" in line(
        replace(PENDING, stage="starting", device=soon)
    )


def test_every_stage_has_its_line() -> None:
    stages = ["granting", "submitting", "pending", "opening", "starting", "undoing"]
    lines = [line(replace(PENDING, stage=stage, node="ilk1", device=DEVICE)) for stage in stages]
    assert len(set(lines)) == len(stages)
    assert lines[3].startswith("Running on node ilk1: opening the QPU session on qmio")
    assert [percent(replace(PENDING, stage=stage)) for stage in stages] == sorted(
        percent(replace(PENDING, stage=stage)) for stage in stages
    )


def test_a_silent_slurm_is_not_a_lost_place() -> None:
    text = line(replace(PENDING, unanswered_s=12.0))
    assert "has not answered for 12 s" in text
    assert "your place in the queue is kept" in text


def test_a_silent_gateway_is_told_of() -> None:
    text = line(replace(PENDING, stage="opening", node="n1", device=replace(DEVICE, state="")))
    assert "the gateway of device qmio does not answer at the moment, asking goes on" in text


@pytest.mark.parametrize(
    ("waiting", "what", "advice"),
    [
        (PENDING, "your job did not start within 4 h: no node of this size", "smaller"),
        (replace(PENDING, reason="Priority"), "others are ahead of you", "Try again later"),
        (replace(PENDING, stage="opening", node="n1"), "session was not open on node n1", "administrator"),
        (replace(PENDING, stage="starting", node="n1"), "server on node n1 did not answer", "administrator"),
        (replace(PENDING, unanswered_s=9.0), "Slurm did not answer", "administrator"),
        (replace(PENDING, stage="granting"), "there was no server within 4 h", "later"),
    ],
)
def test_who_is_given_up_is_told_why(waiting: Waiting, what: str, advice: str) -> None:
    said = too_long(waiting, 4 * 3600.0)
    assert what in said[0]
    assert advice in said[1]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("(Resources)", "no node of this size"),
        ("ReqNodeNotAvail, UnavailableNodes:ilk1", "reserved for others or down"),
        ("ReqNodeNotAvail, May be reserved for other job", "reserved for others or down"),
        ("SomethingNew", "Slurm says SomethingNew"),
        ("", "Slurm says nothing"),
    ],
)
def test_reasons(reason: str, words: str) -> None:
    assert words in why(reason)[0]


def test_what_never_starts_is_known() -> None:
    assert set(REASONS) >= HOPELESS
    assert is_hopeless("(BadConstraints)")
    assert not is_hopeless("Priority")


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        ("CANCELLED by 0", "None", "the Slurm job was cancelled"),
        ("TIMEOUT", "TimeLimit", "time was up"),
        ("NODE_FAIL", "", "the node failed"),
        ("FAILED", "JobLaunchFailure", "failed to start: it could not be started on the node"),
        ("NEWSTATE", "", "the Slurm job ended (NEWSTATE)"),
    ],
)
def test_ends(state: str, reason: str, words: str) -> None:
    assert words in ending(state, reason)


def test_the_page_holds_the_same_parts_and_no_html_of_others() -> None:
    text = page(replace(PENDING, partition="<b>", device=DEVICE))
    assert "<b>" not in text
    assert text.count("d-block") == len(line(replace(PENDING, device=DEVICE)).split("; "))


@pytest.mark.parametrize(
    ("reason", "words", "hopeless"),
    [
        ("QOSMaxCpuPerJobLimit", "it asks for more cores than your QOS allows", True),
        ("QOSMaxMemoryPerNode", "it asks for more memory than your QOS allows", True),
        (
            "AssocMaxGRESPerJob",
            "it asks for more GPUs or other generic resources than your account allows",
            True,
        ),
        ("AssocMaxCpuMinutesPerJobLimit", "it asks for more time with cores than your account allows", True),
        ("QOSMinCpuNotSatisfied", "it asks for fewer cores than your QOS wants", True),
        ("QOSMaxNodePerUserLimit", "your jobs use all the nodes your QOS allows", False),
        ("AssocGrpMemLimit", "the jobs of your account use all the memory they may", False),
        ("QOSGrpBillingMinutes", "your QOS has used up its time with resources", False),
        ("AssocGrpCPURunMinutesLimit", "your account has used up its time with cores", False),
        ("QOSMaxWallDurationPerJobLimit", "it asks for more time than your QOS allows", True),
        ("ReservationDeleted", "its reservation is no more", True),
        ("QOSomething", "Slurm says QOSomething", False),
    ],
)
def test_every_limit_of_accounting_is_told(reason: str, words: str, hopeless: bool) -> None:
    assert why(reason)[0] == words
    assert is_hopeless(reason) == hopeless
