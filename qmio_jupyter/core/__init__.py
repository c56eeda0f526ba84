"""The core, sans-I/O: every decision of the gateway, as pure functions of (state, input, now).

Owns: task life cycle, claims and leases, sessions, grants, bookings, fair queue, positions, ETA, invariants.
May not: open a socket, read a clock, draw randomness, log, or import a third party (it imports `model` only).
``Core.handle(input, now_ms) -> Step(records, effects)`` is the only way its state changes.
"""
