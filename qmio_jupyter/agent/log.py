"""The agent's log: one JSON line per event on standard error, secrets never."""

from __future__ import annotations

import sys

import structlog


def open_log(level: str = "info", **bound: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger that writes JSON lines (text on a terminal) and carries `bound` in each."""
    is_terminal = sys.stderr.isatty()
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer()
    )
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    return logger.bind(**bound)
