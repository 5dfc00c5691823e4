"""The board as a table for the terminal, 80 columns wide or more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from textwrap import wrap

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from dataflows.demo.board import AssetState, Board
from dataflows.demo.plant import DemoMeter
from transforms.model.quality import Status

__all__ = ["View", "clock"]

_WIDE = 110
_TITLE_WIDTH = 9
_MARKS = {192: ("✓", "green"), 64: ("?", "yellow"), 0: ("✗", "red")}
_SPEAKS = {"ethernet_ip": "eip", "modbus": "mb", "both": "e+m"}
_SPEAKS_WIDE = {"ethernet_ip": "E/IP", "modbus": "Modbus", "both": "both"}
# Name of the reading, its title, width and decimals.
_Reading = tuple[str, str, int, int]
_NARROW_READINGS: tuple[_Reading, ...] = (
    ("realPower", "kW", 6, 2),
    ("voltageAN", "V a-n", 5, 1),
    ("currentA", "A ph.a", 6, 2),
    ("powerFactor", "PF", 5, 3),
)
_WIDE_READINGS: tuple[_Reading, ...] = (
    ("realPower", "kW", 6, 2),
    ("voltageAN", "V a-n", 5, 1),
    ("currentA", "A ph.a", 6, 2),
    ("currentB", "ph.b", 6, 2),
    ("currentC", "ph.c", 6, 2),
    ("powerFactor", "PF", 5, 3),
)


def clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock(83.4)
    '1:23'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@dataclass(slots=True, kw_only=True)
class View:
    """All that the screen shows; ``console.print`` fits it to the terminal.

    ``places`` are the lines below the table by their title, which stand there while
    ``footed``; ``last_ms`` is the last latency to MQTT by asset.
    """

    board: Board
    meters: tuple[DemoMeter, ...]
    last_ms: Mapping[str, float]
    places: dict[str, str] = field(default_factory=dict)
    now_us: int = 0
    running_seconds: float = 0.0
    footed: bool = True

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        """The table, cut to the terminal's height."""
        width, height = options.max_width, options.height or console.height
        foot = self._foot(width) if self.footed else []
        meters = self.meters
        # Beside meters and foot: the head, the titles, an empty line after each part.
        spare = height - len(meters) - len(foot) - 4
        if self.footed and spare < -1:
            meters = meters[: max(1, height - len(foot) - 4)]
            foot.insert(0, _line("", f"... {len(self.meters) - len(meters)} more"))
        table = self._table(meters, wide=width >= _WIDE)
        yield self._head()
        if spare >= 0 or not self.footed:
            yield Text()
        yield table
        yield Text()
        yield from foot

    def _head(self) -> Text:
        board = self.board
        failed = board.failed.total()
        share = 100 * failed / board.frames if board.frames else 0.0
        text = Text.assemble(
            (" pm500 demo ", "bold reverse"),
            f"  {clock(self.running_seconds)}  {len(self.meters)} meters",
            f"  frames {board.frames}  ",
            (f"good {board.good}", "green"),
            "  ",
            (f"failed {failed} ({share:.1f} %)", "red" if failed else ""),
        )
        return _one_line(text)

    def _table(self, meters: tuple[DemoMeter, ...], *, wide: bool) -> Table:
        readings = _WIDE_READINGS if wide else _NARROW_READINGS
        table = Table(
            box=None,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            header_style="bold underline",
        )
        table.add_column("asset", no_wrap=True)
        table.add_column("by", no_wrap=True, style="dim")
        # One column, so that they can make room for the word that says why there are
        # none.
        table.add_column(_titles(readings), no_wrap=True)
        table.add_column("kWh", justify="right", no_wrap=True, min_width=9)
        table.add_column("", no_wrap=True)
        table.add_column("last seq", justify="right", no_wrap=True, min_width=10)
        table.add_column("good/fail", justify="right", no_wrap=True)
        table.add_column("ms", justify="right", no_wrap=True, min_width=3)
        if wide:
            table.add_column("last failure, ago", no_wrap=True)
        for meter in meters:
            table.add_row(*self._row(meter, readings, wide=wide))
        return table

    def _row(
        self, meter: DemoMeter, readings: tuple[_Reading, ...], *, wide: bool
    ) -> list[Text]:
        state = self.board.assets[meter.name]
        latency = self.last_ms.get(meter.name)
        energy = state.values.get("energyImport")
        speaks = _SPEAKS_WIDE if wide else _SPEAKS
        row = [
            Text(meter.asset),
            Text(speaks[meter.protocol]),
            self._readings(state, readings),
            Text("-" if energy is None else f"{energy:.1f}"),
            _quality(state),
            Text(str(state.seq) if state.seq else "-"),
            Text.assemble(
                str(state.good), "/", (str(state.failed), "red" if state.failed else "")
            ),
            Text(_milliseconds(latency)),
        ]
        if wide:
            row.append(self._failure(state))
        return row

    def _readings(self, state: AssetState, readings: tuple[_Reading, ...]) -> Text:
        width = sum(width for *_, width, _ in readings) + len(readings) - 1
        if state.status is None:
            return Text("waiting for a poll".ljust(width), "dim")
        if state.status != Status.OK and state.failing_since_us is not None:
            seconds = max(0, self.now_us - state.failing_since_us) // 1_000_000
            word = f" {state.failed_as}, {seconds} s "
            return Text(word.center(width, "·"), "red")
        return Text(" ".join(_number(state.values, *reading) for reading in readings))

    def _failure(self, state: AssetState) -> Text:
        if not state.failed_as:
            return Text("none", "dim")
        seconds = max(0, self.now_us - state.failed_us) // 1_000_000
        return Text.assemble((state.failed_as, "red"), (f" {clock(seconds)}", "dim"))

    def _foot(self, width: int) -> list[Text]:
        counts = self.board.failed.most_common()
        failed = ", ".join(f"{label} {count}" for label, count in counts) or "none"
        first, *more = wrap(failed, width - _TITLE_WIDTH)
        style = "red" if counts else ""
        lines = [_line("failed", first, style)]
        lines += [_line("", text, style) for text in more]
        lines += [_line(title, text) for title, text in self.places.items()]
        lines.append(_line("", "Ctrl-C stops and sums up", "dim"))
        return lines


def _line(title: str, text: str, style: str = "") -> Text:
    return _one_line(Text.assemble((f"{title:<{_TITLE_WIDTH}}", "bold"), (text, style)))


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _titles(readings: tuple[_Reading, ...]) -> str:
    return " ".join(f"{title:>{width}}" for _, title, width, _ in readings)


def _number(
    values: Mapping[str, float], name: str, _: str, width: int, decimals: int
) -> str:
    value = values.get(name)
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{decimals}f}"


def _quality(state: AssetState) -> Text:
    if state.status is None:
        return Text("-")
    mark, style = _MARKS[state.quality]
    return Text(mark, style)


def _milliseconds(latency: float | None) -> str:
    if latency is None:
        return "-"
    return f"{latency:.0f}" if latency < 1000 else ">1s"
