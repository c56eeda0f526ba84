"""The JupyterHub spawner: a click on Start gives a Slurm node together with a QPU session, both or neither.

This room owns what a user may ask for (`options`, `offer`, `check`), the order in which it is brought about and undone
(`saga`, without I/O), the words of the wait (`words`, `waiting`), and the shells around them: the spawner, its calls to
Slurm and to the gateway, the route on which a starting server reports, and the program on the node that starts it.
Nothing a user types ever becomes part of a script, a template or a shell's line. It knows the gateway only through
the client, as an issuer of grants.
"""
