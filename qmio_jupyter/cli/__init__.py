"""jupyter qmio: the same client in a terminal; only cli.daemon imports gateway, agent, store.

Every command takes ``--json`` and then prints one JSON document on standard output. An error is one line on
standard error and an exit code of :mod:`qmio_jupyter.cli.exits`.
"""
