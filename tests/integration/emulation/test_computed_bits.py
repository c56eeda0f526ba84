"""Random programs that compute bits on their way, in branches too: the counts follow the branches one by one."""

import random

from qmio_jupyter.testing.exact import Step, probabilities
from qmio_jupyter.testing.openqasm2 import MATRICES
from qmio_jupyter.testing.runs import qasm3
from qmio_jupyter.testing.samples_of import disagreement, numbered_counts

PROGRAMS = 40
BITS = 4


def statement(rng, n, depth=0):
    """Return a random statement of OpenQASM 3 and the step it stands for."""
    qubit, bit, value = rng.randrange(n), rng.randrange(BITS), rng.randint(0, 1)
    kind = rng.choice(["gate", "gate", "cx", "measure", "measure", "reset", "set", "set", "if", "if"])
    if kind == "cx" and n > 1:
        other = rng.choice([q for q in range(n) if q != qubit])
        return f"cx q[{qubit}], q[{other}];", Step("gate", (qubit, other), matrix=MATRICES["cx"]())
    if kind == "measure":
        return f"c[{bit}] = measure q[{qubit}];", Step("measure", (qubit,), bit=bit)
    if kind == "reset":
        return f"reset q[{qubit}];", Step("reset", (qubit,))
    if kind == "set":
        read = tuple(rng.sample(range(BITS), rng.randint(0, 2)))
        parity = " ^ ".join(f"c[{index}]" for index in read)
        text = (f"!({parity})" if value else parity) if read else str(value)
        return f"c[{bit}] = {text};", Step("set", bit=bit, condition=(read, value))
    if kind == "if" and depth < 2:
        parts = [statement(rng, n, depth + 1) for _ in range(rng.randint(1, 3))]
        body = " ".join(text for text, _ in parts)
        made = Step("if", condition=((bit,), value), inner=tuple(step for _, step in parts))
        return f"if ({'' if value else '!'}c[{bit}]) {{ {body} }}", made
    name = rng.choice(["x", "h", "t", "s"])
    return f"{name} q[{qubit}];", Step("gate", (qubit,), matrix=MATRICES[name]())


def test_counts_follow_the_branches(qmio):
    rng = random.Random(6)
    made = []
    for _ in range(PROGRAMS):
        n = rng.randint(1, 3)
        parts = [statement(rng, n) for _ in range(rng.randint(5, 14))]
        parts.append(("c[0] = measure q[0];", Step("measure", (0,), bit=0)))
        text = f"qubit[{n}] q; bit[{BITS}] c; {' '.join(text for text, _ in parts)}"
        made.append((text, [step for _, step in parts], n))
    items = qmio.items(*(qasm3(text) for text, _, _ in made), shots=4_000, seed=1, options={"ideal": True})
    wrong = {}
    for (text, steps, n), item in zip(made, items, strict=True):
        if found := disagreement(numbered_counts(item), probabilities(steps, n)):
            wrong[text] = found
    assert wrong == {}
