"""What every suite shares: a missing component is a loud skip, and a failure under ``CI=true``."""

from __future__ import annotations

import os
import signal

import pytest

# A shell has what it runs in the background ignore interrupts, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def missing(what: str) -> None:
    """Skip the test for want of `what`; fail it under ``CI=true``, where nothing may be skipped.

    At a module's top that holds for all of its tests.
    """
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI skips nothing", pytrace=False)
    pytest.skip(f"{what} is missing on this machine", allow_module_level=True)
