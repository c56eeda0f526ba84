"""Fakes, the simulated world, conformance suites. Nothing of the product imports it."""
