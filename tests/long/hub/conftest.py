"""The same cluster, gateway and hubs as in the shorter suites."""

from tests.integration.hub.conftest import centre, cluster, here, make_hub, python, site, users

__all__ = ["centre", "cluster", "here", "make_hub", "python", "site", "users"]
