"""Programs: opaque bytes with a media type and a digest. Nobody but a worker decodes them."""

from __future__ import annotations

import msgspec

from qmio_jupyter.model.ids import Digest

#: OpenQASM 2 source text, UTF-8.
QASM2 = "text/x-openqasm; version=2"
#: OpenQASM 3 source text, UTF-8.
QASM3 = "text/x-openqasm; version=3"
#: One Qiskit circuit in QPY, version 13 or newer (older ones can execute code: GHSA-6m2c-76ff-6vrf).
QPY = "application/x-qpy"
#: What the `echo` driver takes besides the above: any bytes.
OCTETS = "application/octet-stream"

#: Name in a circuit's metadata of the units of its delays, in the order of its instructions, those of blocks where
#: their control flow stands: QPY itself keeps none (Qiskit/qiskit#10662).
DELAY_UNITS = "qmio_delay_units"

MEDIA_TYPES = (QASM2, QASM3, QPY, OCTETS)


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A program's bytes, with what is needed to store and find them again."""

    digest: Digest
    media_type: str
    data: bytes
