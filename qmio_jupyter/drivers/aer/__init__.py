"""Running programs on Qiskit Aer, inside worker processes only.

`guard` refuses by looking at the text, `read` parses (with `lowering` for OpenQASM 3), `placing` and `compiling` make
of it what a device or Aer takes, `planner` keeps that and chooses how it is run: `exact` (probabilities once, shots
of our own from `sampling`), `blocks` (shots run by the simulator) or `framed` (Clifford programs). `deferring` turns
dynamic programs into exact ones, `templates` lets programs share all but their angles, `direct` is Aer without its
Python. `runner` runs a task, `dry` says what it would be, `worker` is what a forked process does all day. Nothing
here is imported by an agent.
"""
