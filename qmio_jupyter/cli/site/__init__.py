"""``jupyter qmio doctor --site``: a centre's installation, looked at end to end.

The room has two halves. ``ask_*`` looks at files, Slurm, MUNGE, the gateway and a node, as the user who will need them
(`probe`), and returns facts; ``judge_*`` is pure and makes findings of facts. May not: change
anything, or show a secret.
"""
