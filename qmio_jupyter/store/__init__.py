"""The ledger: in memory and on disk, behind one contract.

Owns: `MemoryStore`, `SqliteStore`, group commit in a writer thread, the numbered SQL migrations.
May not: decide anything. Guards stand in the WHERE of its statements; what they mean is the core's affair.
"""
