"""Slurm: one adapter that builds argument lists, runs commands, parses what they say and tells errors apart.

Owns: every call of a Slurm command (:mod:`adapter`), and the one cached query of all jobs (:mod:`cache`).
May not: decide who may do what, use a shell, or put user text where a command could take it for an option.
"""
