"""``pm500 demo``: a simulated plant, the real flows, and a table that lives."""

from __future__ import annotations

import logging
import re
import sys
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import structlog
import typer

from connectors.stop import install_stop_signals
from dataflows.demo.servers import InfluxDatabase, MqttAddress, Servers

__all__ = ["demo"]

_FOLDER = "pm500-demo"


def demo(
    seconds: Annotated[
        float, typer.Option(min=0, help="End so long after the first poll; 0: Ctrl-C.")
    ] = 0.0,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="No table; one JSON line with the sums ends the output."
        ),
    ] = False,
    meters: Annotated[
        int, typer.Option(min=1, max=200, help="How many meters are simulated.")
    ] = 12,
    data: Annotated[
        Path | None,
        typer.Option(help="A new folder for all files; pm500-demo/TIME unless given."),
    ] = None,
    mqtt: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="An MQTT server; unless given, one is embedded for the demo only.",
        ),
    ] = None,
    kafka: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A Kafka server; the log is moved on to topics of this demo's own.",
        ),
    ] = None,
    influx: Annotated[
        str | None,
        typer.Option(
            metavar="URL/DATABASE",
            help="A database of an InfluxDB 1.x, as http://127.0.0.1:8086/pm500.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides loads and faults.")] = 0,
) -> None:
    """Simulate a plant, run the flows on it, and show what they read as it comes.

    Ctrl-C stops everything and sums up: slots due, good, failed, missing, archive
    rows. Exit code 1 where the sums do not add up or a process failed, 2 for a mistake
    in the options.
    """
    from rich.console import Console

    from dataflows.demo.processes import DemoError
    from dataflows.demo.screens import LineScreen, TableScreen
    from dataflows.demo.stage import Settings, perform

    servers = Servers(
        mqtt=_mqtt(mqtt),
        kafka=None if kafka is None else str(_address(kafka, "--kafka")),
        topic_prefix=f"demo-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.",
        influx=_database(influx),
    )
    settings = Settings(
        meters=meters,
        seconds=seconds,
        folder=_folder(data),
        servers=servers,
        seed=seed,
    )
    install_stop_signals()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    say = partial(print, file=sys.stderr if as_json else sys.stdout, flush=True)
    console = Console()
    live = console.is_terminal and not console.is_dumb_terminal and not as_json
    screen = partial(TableScreen, console) if live else partial(LineScreen, say)
    try:
        outcome = perform(settings, screen, say)
    except DemoError as error:
        typer.echo(f"pm500 demo: {error}", err=True)
        raise typer.Exit(1) from None
    if outcome is None:
        say("stopped before anything was polled")
        return
    if as_json:
        for wrong in outcome.wrong:
            say(f"WRONG: {wrong}")
        print(outcome.json_line(), flush=True)
    else:
        for line in outcome.lines():
            say(line)
    if outcome.wrong:
        raise typer.Exit(1)


def _folder(data: Path | None) -> Path:
    """A folder that is new or empty, ours to write."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = (data or Path(_FOLDER) / now).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise typer.BadParameter(
                f"{folder} is not empty: each demo takes a new folder",
                param_hint="--data",
            )
        (folder / "logs").mkdir()
    except OSError as error:
        raise typer.BadParameter(str(error), param_hint="--data") from None
    return folder


def _mqtt(text: str | None) -> MqttAddress | None:
    if text is not None:
        return _address(text, "--mqtt")
    if find_spec("amqtt") is None:
        raise typer.BadParameter(
            "the embedded broker needs the extra `demo` (amqtt is not installed); "
            "give an MQTT server of your own instead",
            param_hint="--mqtt",
        )
    return None


def _address(text: str, option: str) -> MqttAddress:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise typer.BadParameter(f"{text!r} is not HOST:PORT", param_hint=option)
    return MqttAddress(host, int(port))


def _database(text: str | None) -> InfluxDatabase | None:
    if text is None:
        return None
    found = re.fullmatch(r"(https?://[^/]+)/([^/]+)", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not URL/DATABASE", param_hint="--influx")
    return InfluxDatabase(found[1], found[2])
