"""The %%qpu magics and what a cell shows. May not: import Qiskit at load, or anything of the daemon."""
