"""Keys and proofs: cryptography and system calls only. May not: decide who may do what."""
