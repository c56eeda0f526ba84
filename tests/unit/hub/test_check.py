"""What cannot be had is refused with the reason before anything is submitted; what can is made complete."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from qmio_jupyter.errors import HubError
from qmio_jupyter.hub.check import Request, check
from qmio_jupyter.hub.offer import Association, Bounds, Offer, Qos
from qmio_jupyter.hub.options import Options
from tests.unit.hub.offers import OFFER


def test_no_wish_at_all_is_the_sites_choice() -> None:
    assert check(Options(), OFFER) == Request(
        device="fake-qmio",
        kind="interactive",
        partition="ilk",
        cores=1,
        memory_mib=1000,
        gpus=0,
        walltime_min=60,
        account="class",
        licence="qpu_fake-qmio",
    )


def test_where_no_device_can_be_used_none_is_chosen() -> None:
    _, echo, taken = OFFER.devices
    with pytest.raises(
        HubError, match=r"no device can be used now \(echo is maintenance, taken has no sessions\)"
    ):
        check(Options(), replace(OFFER, devices=(echo, taken)))


def test_everything_asked_for_is_kept() -> None:
    wish = Options(
        device="fake-qmio",
        kind="batch",
        partition="gpu",
        cores=4,
        memory_mib=4000,
        gpus=2,
        walltime_min=120,
        account="physics",
        qos="normal",
    )
    found = check(wish, OFFER)
    for name in Options.__struct_fields__[1:]:
        assert getattr(found, name) == getattr(wish, name)


def test_a_profile_is_a_wish() -> None:
    assert check(Options(profile="small"), OFFER).walltime_min == 30
    assert check(Options(profile="small", walltime_min=20), OFFER).walltime_min == 20


def test_a_reservation_leads_to_its_partition() -> None:
    offer = replace(OFFER, reservations=(replace(OFFER.reservations[0], partition="gpu", accounts=()),))
    wish = Options(reservation="lesson", account="physics")
    assert check(wish, offer).partition == "gpu"


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"profile": "smal"}, "Did you mean small?"),
        ({"device": "fake-qmi"}, "Did you mean fake-qmio?"),
        ({"device": "echo"}, "state maintenance"),
        ({"device": "taken"}, "has no sessions"),
        ({"partition": "qpu"}, "no partition 'qpu'"),
        ({"partition": "old"}, "closed"),
        ({"cores": 5}, "at most 4"),
        ({"memory_mib": 4001}, "at most 4000"),
        ({"gpus": 1}, "at most 0"),
        ({"partition": "gpu", "account": "physics", "cores": 16, "gpus": 1}, "at once"),
        ({"walltime_min": 241}, "partition ilk allows"),
        ({"partition": "gpu", "account": "physics", "walltime_min": 481}, "the hub allows"),
        ({"account": "fisics"}, "Did you mean physics?"),
        ({"partition": "gpu"}, "does not admit account class"),
        ({"qos": "urgent"}, "You may choose normal, long."),
        ({"partition": "gpu", "account": "physics", "qos": "long"}, "does not admit QOS long"),
        ({"reservation": "lessen"}, "Did you mean lesson?"),
        ({"reservation": "lesson", "partition": "gpu", "account": "physics"}, "in partition ilk"),
        ({"reservation": "lesson", "account": "physics"}, "not for account physics"),
        ({"reservation": "lesson", "walltime_min": 91}, "ends in 90 minutes"),
    ],
)
def test_what_cannot_be_had(wish: dict[str, Any], says: str) -> None:
    with pytest.raises(HubError) as caught:
        check(Options(**wish), OFFER)
    assert caught.value.code == "hub.option"
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        (replace(OFFER, devices=()), "no device"),
        (replace(OFFER, partitions=()), "no partition"),
        (replace(OFFER, associations=()), "no account on this cluster"),
    ],
)
def test_offers_that_offer_nothing(offer: Offer, says: str) -> None:
    with pytest.raises(HubError, match=says):
        check(Options(), offer)


def test_a_cluster_without_accounts() -> None:
    offer = replace(OFFER, associations=None)
    assert check(Options(), offer).account == ""
    for wish in (Options(account="class"), Options(qos="normal")):
        with pytest.raises(HubError, match="keeps no accounts"):
            check(wish, offer)


#: What accounting allows: an account's limits, a QOS's, and one account that is for a partition alone.
ALLOWED = replace(
    OFFER,
    associations=(
        Association(
            account="class", qos=("normal", "short"), is_default=True, bounds=Bounds(longest_min=20, cores=3)
        ),
        Association(
            account="class", partition="gpu", qos=("normal",), is_default=True, bounds=Bounds(gpus=1)
        ),
        Association(account="physics", qos=("normal", "short"), default_qos="short"),
        Association(account="chemistry", partition="gpu", qos=("normal",)),
    ),
    partitions=tuple(replace(one, accounts=(), qos=()) for one in OFFER.partitions),
    qos=(Qos(name="short", bounds=Bounds(longest_min=30, memory_mib=2000)), Qos(name="normal")),
)


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"walltime_min": 60}, "60 minutes are more than your account class allows. Ask for at most 20"),
        ({"cores": 4}, "4 cores are more than your account class allows. Ask for at most 3"),
        ({"partition": "gpu", "gpus": 2}, "2 GPUs are more than your account class allows"),
        ({"account": "physics", "walltime_min": 60}, "60 minutes are more than QOS short allows"),
        ({"account": "physics", "memory_mib": 3000}, "3000 MiB of memory are more than QOS short allows"),
        ({"account": "class", "qos": "short", "memory_mib": 3000}, "more than QOS short allows"),
        ({"account": "chemistry"}, "your account chemistry is not for partition ilk"),
        ({"account": "clas"}, "Did you mean class?"),
        ({"account": "class", "qos": "shrt"}, "Did you mean short?"),
    ],
)
def test_what_accounting_does_not_allow(wish: dict[str, Any], says: str) -> None:
    with pytest.raises(HubError) as caught:
        check(Options(**wish), ALLOWED)
    assert caught.value.code == "hub.option"
    assert says in caught.value.one_line()


def test_what_accounting_allows_is_the_usual_choice() -> None:
    found = check(Options(), ALLOWED)
    assert (found.account, found.qos, found.walltime_min) == ("class", "", 20)
    found = check(Options(account="physics"), ALLOWED)
    assert (found.account, found.walltime_min) == ("physics", 30)
    found = check(Options(account="physics", qos="normal", walltime_min=200), ALLOWED)
    assert (found.qos, found.walltime_min) == ("normal", 200)
    # An association for the partition goes before the same account's for all: its limits are others.
    assert check(Options(partition="gpu", walltime_min=120), ALLOWED).walltime_min == 120


def test_a_device_whose_sessions_are_a_generic_resource() -> None:
    device = replace(OFFER.devices[0], gres=("qpu", "qpu:qmio:1", 1))
    ilk, gpu, old = OFFER.partitions
    gpu = replace(gpu, accounts=(), qos=(), shapes=(replace(gpu.shapes[0], others=(("qpu", 1),)),))
    offer = replace(OFFER, devices=(device,), partitions=(ilk, gpu, old))
    found = check(Options(), offer)
    assert (found.partition, found.gres) == ("gpu", "qpu:qmio:1")
    with pytest.raises(HubError, match="partition ilk has no node with qpu:qmio:1"):
        check(Options(partition="ilk"), offer)
