"""The gateway: the daemon that owns the core, the one writer of the ledger, and the users' and agents' door.

Owns: the desk (sans-I/O: roles, wire to core and back, watches), releases (nothing leaves before its commit),
the service loop, supervision of embedded agents, keys and log files, figures.
May not: decide what the core decides, decode a program, or import a quantum SDK or a driver.
"""
