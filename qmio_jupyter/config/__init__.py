"""Configuration: TOML to frozen Structs, environment, secret files, the places we keep things.

May not: decide, or open a socket.
"""
