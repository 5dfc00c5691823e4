"""Whether the configured server takes points, and what is wrong where it does not."""

from __future__ import annotations

from dataclasses import dataclass

from sinks.influx.answer import Answer
from sinks.influx.server import InfluxServer, Target

__all__ = ["Probe", "probe_influx"]

# A line of no point: rights and names are checked, and nothing is stored.
_NOTHING = b"# pm500 check\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """``version`` is what the server calls itself; ``wrong`` is None where all is well."""

    version: str
    wrong: str | None


def probe_influx(target: Target) -> Probe:
    """Ask the server once; nothing is written."""
    server = InfluxServer(target)
    try:
        try:
            version = server.version()
        except Answer as answer:
            if answer.status is None:
                return Probe(version="unknown", wrong=f"no answer: {answer}")
            version = "unknown"  # a proxy may let only writes through
        try:
            server.post(_NOTHING)
        except Answer as answer:
            return Probe(version=version, wrong=_advice(answer, target))
        return Probe(version=version, wrong=None)
    finally:
        server.close()


def _advice(answer: Answer, target: Target) -> str:
    secret = "token" if target.version == 2 else "user and password"
    match answer.status:
        case 401:
            why = (
                f"the {secret} are not known to it"
                if target.version == 1
                else ("the token is not known to it")
            )
        case 403:
            why = f"the {secret} may not write there"
        case 404 if "page not found" in answer.text or not answer.text:
            other = 1 if target.version == 2 else 2
            why = f"it has no such path; is it influx.version = {other}?"
        case 404:
            why = "make it there, or name another"
        case _:
            return str(answer)
    return f"{answer}: {why}"
