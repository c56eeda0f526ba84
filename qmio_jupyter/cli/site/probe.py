"""``python -I -m qmio_jupyter.cli.site.probe PART``: one part of the doctor, as another user or on another host.

The question is JSON on standard input, the facts are one line of JSON on standard output.
"""

from __future__ import annotations

import sys

import click
import msgspec

from qmio_jupyter.cli.site.facts import JobFacts

#: Stands before the facts: sitecustomize, modules and the like may print as well.
MARK = "qmio-facts:"


def say(facts: msgspec.Struct) -> None:
    """Write facts as one line."""
    click.echo(f"{MARK}{msgspec.json.encode(facts).decode()}")
    sys.stdout.flush()


def main(part: str) -> None:
    """Answer the question of one part: ``hub``, ``gateway`` or ``node``."""
    data = sys.stdin.buffer.read()
    match part:
        case "hub":
            from qmio_jupyter.cli.site import ask_hub

            say(ask_hub.look(msgspec.json.decode(data, type=ask_hub.HubAsk)))
        case "gateway":
            from qmio_jupyter.cli.site import ask_gateway

            say(ask_gateway.look(msgspec.json.decode(data, type=ask_gateway.GatewayAsk)))
        case "node":
            from qmio_jupyter.cli.site import ask_node

            def told(facts: JobFacts) -> None:
                say(facts)

            ask_node.look(msgspec.json.decode(data, type=ask_node.NodeAsk), told)
        case _:
            sys.exit(f"no part {part!r}")


if __name__ == "__main__":
    main(sys.argv[1])
