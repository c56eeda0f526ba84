"""jupyter qmio: the same client in a terminal; only cli.daemon imports gateway, agent, store."""
