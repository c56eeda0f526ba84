"""The Jupyter Server extension: what a page may ask of the user's gateway, over authenticated routes.

This room owns the routes, the server's one link to the gateway, and how our errors become HTTP answers. It knows
only the client. It never starts a gateway, and no credential of a gateway ever reaches the browser: the Jupyter
server, which runs as the user, holds it. Loaded with every Jupyter server, so nothing here imports the client, let
alone Qiskit, before the first request.
"""
