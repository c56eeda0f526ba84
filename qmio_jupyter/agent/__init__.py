"""Hosts one driver in its own process, dials out, renews its claims. May not: be reached from outside."""
