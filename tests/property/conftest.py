"""Hypothesis as every property suite uses it: no deadlines (machines are shared), the same examples."""

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("house")
