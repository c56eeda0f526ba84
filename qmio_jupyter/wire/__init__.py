"""The wire, sans-I/O: typed messages v1, codec, frames, limits.

Owns: what may cross a link, and its encoding. May not: open a socket, read a clock, decide anything.
Frames of one message: ``[preamble b"QMIO" + major][msgpack envelope][raw attachment]*``.
Attachments are described in the envelope by index, media type, length and SHA-256.
Unknown fields are skipped; an unknown tag is answered with ``wire.unsupported``.
"""
