"""How large a result may be: what drivers refuse before they run it for nothing."""

from __future__ import annotations

from typing import Final

from qmio_jupyter.wire.messages import Limits

#: A result's bytes, encoded: a tenth of a message is left for what is said around it on its way to a client.
RESULT_BYTES: Final = Limits().message_bytes * 9 // 10
