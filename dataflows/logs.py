"""Structured logs: one event a line, to standard error."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor

__all__ = ["LogFormat", "configure_logs", "warnings_only"]

LogFormat = Literal["auto", "json", "console"]

_STDERR = 2


class _Steadfast:
    """Standard error whose trouble stops nobody: a full disk, a reader gone.

    A line goes out in one piece and at once: nothing is left over that could fail
    when the process ends.
    """

    def write(self, text: str) -> int:
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        with suppress(OSError):
            while rest:
                rest = rest[os.write(_STDERR, rest) :]
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def configure_logs(
    flow: str, log_format: LogFormat = "auto", *, replica: str = ""
) -> None:
    """Send all logs of this process to standard error, bound to ``flow`` and the pid.

    ``replica`` stands in every line too, where it is one of several.

    ``auto`` writes for people on a terminal, else one JSON object a line. Libraries
    speak through ``logging``: they are heard from WARNING on.
    """
    stream = _Steadfast()
    terminal = os.isatty(_STDERR)
    people = log_format == "console" or (log_format == "auto" and terminal)
    bound = {"flow": flow} | ({"replica": replica} if replica else {})

    def bind(_: object, __: str, event: EventDict) -> EventDict:
        # Not by contextvars: the flow's threads would not see them.
        return {**event, **bound, "pid": os.getpid()}

    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        bind,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Processor] = (
        [
            # Tracebacks in color take so long that other meters' polls would wait.
            structlog.dev.ConsoleRenderer(
                colors=terminal, exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if people
        else [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ]
    )
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(stream),  # type: ignore[arg-type] # it writes and flushes, no more is asked
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def warnings_only() -> None:
    """What a command lets through: its standard output is for its result."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.WriteLoggerFactory(_Steadfast()),  # type: ignore[arg-type] # as above
        cache_logger_on_first_use=False,
    )
