"""Running programs on Qiskit Aer, inside worker processes only.

`guard` refuses by looking at the text, `read` parses (with `lowering` for OpenQASM 3), `compiling` and `method`
prepare, `execution` runs, `worker` is what a forked process does all day. Nothing here is imported by an agent.
"""
