"""The host that the guide is followed on; only in namespaces of its own (`furnish` refuses elsewhere)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qmio_jupyter.testing.host import Host, furnish


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """A Debian machine with Slurm, a user, and nothing of ours."""
    furnish()
    made = Host()
    try:
        made.start()
        yield made
    finally:
        made.cluster.stop()
