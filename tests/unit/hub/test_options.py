"""The form and the REST interface make the same typed options, and nothing else gets through."""

from __future__ import annotations

from typing import Any

import pytest

from qmio_jupyter.errors import UsageError
from qmio_jupyter.hub.options import NAMES, Options, as_json, filled, from_form, from_json

FORM = {"device": ["fake-qmio"], "cores": ["2"], "walltime_min": [" 30 "], "account": [""], "_xsrf": ["x"]}
JSON = {"device": "fake-qmio", "cores": 2, "walltime_min": 30}


def test_form_and_rest_say_the_same() -> None:
    assert from_form(FORM) == from_json(JSON) == Options(device="fake-qmio", cores=2, walltime_min=30)


def test_what_is_kept_is_read_again() -> None:
    options = from_json(JSON)
    assert as_json(options) == JSON
    assert from_json(as_json(options)) == options


def test_nothing_is_a_whole_wish() -> None:
    assert from_json({}) == from_form({}) == Options()


@pytest.mark.parametrize(
    "found",
    [
        {"partition": "a b"},
        {"partition": "a\n#SBATCH --uid=0"},
        {"partition": "ilk\n"},
        {"partition": "--uid=0"},
        {"account": "$(id)"},
        {"reservation": "a,b"},
        {"device": "<script>"},
        {"qos": "ñ"},
        {"qos": "x" * 65},
        {"kind": "exclusive"},
        {"cores": -1},
        {"cores": "2"},
        {"cores": 1.5},
        {"cores": True},
        {"cores": None},
        {"memory_mib": 10**12},
        {"device": ["fake-qmio"]},
        {"device": {"x": 1}},
        {"cmd": ["sh"]},
        {"req_partition": "ilk"},
        {"environment": {"LD_PRELOAD": "x"}},
        {"__class__": "x"},
    ],
)
def test_rest_refuses(found: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        from_json(found)
    assert caught.value.code == "usage.option"
    assert next(iter(found)) in caught.value.message
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "found",
    [
        {"cores": ["2", "3"]},
        {"cores": [" 2.5"]},
        {"cores": ["1e3"]},
        {"cores": ["-1"]},
        {"cores": ["٢"]},
        {"cores": ["1" * 10]},
        {"partition": ["a b"]},
        {"shell": ["/bin/sh"]},
        {"device_file": [{"filename": "x", "body": b""}]},
    ],
)
def test_the_form_refuses(found: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        from_form(found)
    assert caught.value.code == "usage.option"


def test_a_profile_fills_what_was_left_open() -> None:
    profile = Options(device="fake-qmio", cores=4, partition="ilk")
    assert filled(Options(cores=2, profile="p"), profile) == Options(
        profile="p", device="fake-qmio", cores=2, partition="ilk"
    )
    assert filled(Options(cores=2), None) == Options(cores=2)


def test_the_names_are_those_that_the_documentation_lists() -> None:
    assert NAMES == (
        "profile",
        "device",
        "kind",
        "partition",
        "cores",
        "memory_mib",
        "gpus",
        "walltime_min",
        "account",
        "qos",
        "reservation",
    )
