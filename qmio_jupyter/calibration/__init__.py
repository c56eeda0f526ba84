"""Calibrations of devices: read, checked, written as snapshots. Standard library only.

Owns `record` (what is known of a device on one day), the readers of every file it may come in, canonical JSON
and the digest that names a snapshot. May not: import Qiskit or numpy, guess a missing value, or repair a dirty one.
"""
