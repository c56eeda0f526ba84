"""A seed replays exactly, in this process and in any other."""

import os
import subprocess
import sys

from qmio_jupyter.testing.world import World

SEEDS = (1, 2, 3)
SCRIPT = """
from qmio_jupyter.testing.world import World
for seed in {seeds}:
    world = World(seed)
    world.run()
    print(world.digest)
"""


def digests():
    worlds = [World(seed) for seed in SEEDS]
    for world in worlds:
        world.run()
    return [world.digest for world in worlds]


def test_two_runs_of_a_seed_agree_and_two_seeds_do_not():
    first = digests()
    assert first == digests()
    assert len(set(first)) == len(SEEDS)


def test_another_process_with_another_hash_seed_agrees():
    here = digests()
    for hash_seed in ("1", "4711"):
        output = subprocess.run(
            [sys.executable, "-c", SCRIPT.format(seeds=SEEDS)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        ).stdout
        assert output.split() == here
