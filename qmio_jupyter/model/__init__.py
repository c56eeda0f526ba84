"""Frozen value types shared by every room: no behaviour beyond validation, no I/O, no clock.

Owns: ids, units, tasks, programs, results, devices, snapshots, sessions, grants, bookings.
May not: import anything of ours but :mod:`qmio_jupyter.errors`, nor any third party but msgspec.
Times are ``*_ms``: integer milliseconds since the Unix epoch on the gateway's clock.
Durations are ``*_s``: float seconds, or ``*_ms`` where said.
"""
