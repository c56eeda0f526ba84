"""The product under measurement: a real embedded gateway in a home of its own, with its agents."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Self

from qmio_jupyter.client.sync import Client, connect
from qmio_jupyter.model.ids import digest
from qmio_jupyter.model.program import OCTETS, QASM3, Program
from qmio_jupyter.model.task import Item, TaskSpec

BELL = b"""OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""


def program(data: bytes, media_type: str) -> Program:
    """Return a program with its digest."""
    return Program(digest=digest(data), media_type=media_type, data=data)


#: fake-qmio, fake-fez, ideal, echo.
DEVICES = 4
ECHO = program(b"echo", OCTETS)
BELL_QASM3 = program(BELL, QASM3)


def spec(device: str, what: Program, shots: int = 1000) -> TaskSpec:
    """Return a task of one item."""
    return TaskSpec(device=device, items=(Item(program=what.digest, shots=shots),))


class Product:
    """An embedded gateway with its devices, in a home of its own; started on entering, stopped on leaving."""

    def __init__(self, home: Path, config: str = "", devices: int = DEVICES) -> None:
        self._parent = home
        self._config = config
        self._devices = devices
        self.home = home

    def another(self, config: str, devices: int) -> Product:
        """Return another one, configured otherwise: new processes, an empty ledger."""
        return Product(self._parent, config, devices)

    def client(self) -> Client:
        """Return a new client, connected."""
        client = connect(environ=self._environ())
        client.ping()
        return client

    def _environ(self) -> dict[str, str]:
        return os.environ | {"QMIO_HOME": str(self.home), "QMIO_CONFIG": str(self.home / "config.toml")}

    def __enter__(self) -> Self:
        self.home = Path(tempfile.mkdtemp(dir=self._parent))
        (self.home / "config.toml").write_text(self._config)
        with self.client() as client:
            end = time.monotonic() + 60
            while not all(view.agents for view in client.devices()) or len(client.devices()) < self._devices:
                if time.monotonic() > end:
                    raise TimeoutError("the agents did not come up")
                time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        with self.client() as client:
            client.stop_gateway()
