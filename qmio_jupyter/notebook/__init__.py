"""The %%qpu magics and what a cell shows. May not: import Qiskit at load, or anything of the daemon.

``options`` is the table of the grammar, ``words`` and ``grammar`` parse a line by it (pure), ``circuits``
and ``binding`` turn a cell's body into programs and parameters, ``run`` sends and waits, ``live`` shows what
happens (what it says is `display`'s), ``api`` holds the function twins, ``magics`` and ``completion`` are all that
IPython sees.
"""
