"""The ledger on disk and in memory: numbered SQL migrations, one contract suite for all. May not: decide anything."""
