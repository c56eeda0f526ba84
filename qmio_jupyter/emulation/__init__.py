"""From a calibration to what Qiskit and Aer run: target, noise, method and its cost.

Owns physics and its numbers (numpy, Qiskit). May not: open files, sockets or processes, or know of tasks.
"""
