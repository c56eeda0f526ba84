"""Keys and proofs: cryptography and system calls only. May not: decide who may do what.

Owns: CURVE key pairs and their names (:mod:`keys`), MUNGE credentials (:mod:`munge`), what a proof is over
(:mod:`transcript`), proofs with the secret of a job (:mod:`job_secrets`) and the file it is in (:mod:`job_files`).
"""
