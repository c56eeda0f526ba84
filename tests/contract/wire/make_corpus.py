"""Freeze one sample of every message type of this major under ``corpus/v1``. Frozen samples never change.

``python tests/contract/wire/make_corpus.py`` writes the samples that are missing and refuses to touch one
that exists: bytes that were once on a wire must be readable for as long as the major is spoken.
"""

from __future__ import annotations

import sys
from pathlib import Path

from qmio_jupyter.testing.messages import samples, to_file
from qmio_jupyter.wire.codec import encode
from qmio_jupyter.wire.messages import MAJOR

CORPUS = Path(__file__).parent / "corpus" / f"v{MAJOR}"


def main() -> int:
    """Write what is missing; 1 if nothing was."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    written = 0
    for tag, packet in samples().items():
        path = CORPUS / f"{tag}.bin"
        if not path.exists():
            path.write_bytes(to_file(encode(packet)))
            written += 1
            print(f"frozen: {path.name}")
    print(f"{written} new, the others left as they are")
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())
