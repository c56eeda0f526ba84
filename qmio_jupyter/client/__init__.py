"""One client for every front door: a sans-I/O protocol with a synchronous and an asyncio shell.

May not: import Qiskit or the daemon.
"""
