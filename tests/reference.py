"""The generated parts of the docs: ``make docs`` writes them, a test finds them stale.

``python -m tests.reference`` fills every part of README.md and docs/*.md that stands
between ``<!-- generated: NAME -->`` and ``<!-- generated: end -->``. It stands among
the tests because only they and ``make docs`` need it: docs/ holds pages and no code,
and here mypy and ruff hold it to the rules of everything else.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.main import get_command

from connectors.profiles import load_profile, profile_names
from dataflows.cli import COMMANDS, app
from dataflows.metrics import METRICS
from dataflows.runtime import FLOWS
from dataflows.site import Site
from sinks.archive.encoding import EVENT_SCHEMA, frame_table_schema
from transforms.codec.frame import FrameSchema
from transforms.model import profile as language
from transforms.model.quality import Quality, Status
from transforms.model.quantity import QUANTITIES, Quantity

__all__ = ["PAGES", "ROOT", "commands", "filled", "flat_fields", "options", "pages"]

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/*.md")
EXAMPLE = ROOT / "deploy" / "site.example.toml"

_PART = re.compile(
    r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- generated: end -->)", re.DOTALL
)


def pages() -> list[Path]:
    """README.md and the pages of docs/."""
    return [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]


def filled(text: str) -> str:
    """The page with every generated part made anew; KeyError for an unknown one."""

    def part(match: re.Match[str]) -> str:
        made = "\n".join(PARTS[match["name"]]())
        return f"{match[1]}\n{made}\n\n{match[3]}"

    return _PART.sub(part, text)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield _row(titles)
    yield _row(["---"] * len(titles))
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _code(text: object) -> str:
    return f"`{text}`"


# -- settings and the profile language ---------------------------------------------


def settings() -> Iterator[str]:
    """Every section of a site file with its keys."""
    for name, field in Site.model_fields.items():
        if field.exclude:
            continue
        model = _model_of(field)
        array = get_origin(field.annotation) is tuple
        yield from ("", f"### `{f'[[{name}]]' if array else f'[{name}]'}`", "")
        yield str(model.__doc__).partition("\n")[0]
        yield ""
        yield from _fields(model, Site, name)


# Title of each table of the profile language, its model, and where it stands.
_LANGUAGE: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The profile", language.Profile),
    ("`[limits]`", language.Limits),
    ("`[ethernet_ip]`", language.EthernetIp),
    ("`[modbus]`", language.Modbus),
    ("`[[modbus.identity]]`", language.Expectation),
    ("`[[group]]`", language.Group),
    ("`ethernet_ip` of a group or description: a block", language.AssemblyBlock),
    ("`modbus` of a group or description: a block", language.RegisterBlock),
    ("`[[group.point]]`", language.Point),
    ("`ethernet_ip` of a point: its place", language.AssemblyLocation),
    ("`modbus` of a point: its place", language.RegisterLocation),
    ("`[description]`", language.Description),
    ("`[[description.point]]`", language.DescriptionPoint),
)


def profile_language() -> Iterator[str]:
    """Every table of a profile with its keys."""
    for title, model in _LANGUAGE:
        yield from ("", f"#### {title}", "")
        yield from _fields(model, model, None)


def flat_fields() -> Iterator[tuple[str, FieldInfo]]:
    """Every field of a site file and of a profile, by ``model.name``."""
    sections = [_model_of(f) for f in Site.model_fields.values() if not f.exclude]
    for model in (*sections, *(model for _, model in _LANGUAGE)):
        for name, field in model.model_fields.items():
            yield f"{model.__name__}.{name}", field


def _model_of(field: FieldInfo) -> type[BaseModel]:
    """The model of a section: itself, of an array, or of one that may be absent."""
    (model,) = (
        kind
        for kind in (field.annotation, *get_args(field.annotation))
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    )
    return model


def _fields(
    model: type[BaseModel], root: type[BaseModel], section: str | None
) -> Iterator[str]:
    schema = root.model_json_schema()
    definitions = schema.get("$defs", {})
    own = schema if section is None else definitions[model.__name__]
    yield from table(
        ("key", "type", "default", "meaning"),
        (
            (
                _code(name),
                _kind(own["properties"][name], definitions),
                _default(field),
                str(field.description),
            )
            for name, field in model.model_fields.items()
        ),
    )


def _kind(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON schema in words.

    >>> _kind({"type": "integer", "minimum": 0, "maximum": 255}, {})
    'integer from 0 to 255'
    """
    match schema:
        case {"$ref": str()}:
            return "table"
        case {"enum": list(values)}:
            return ", ".join(_code(json.dumps(value)) for value in values)
        case {"anyOf": list(options)}:
            real = [o for o in options if o.get("type") != "null"]
            return " or ".join(_kind(option, definitions) for option in real)
        case {"type": "array", "items": {"$ref": str()}}:
            return "array of tables"
        case {"type": "array", "items": items}:
            return f"array of: {_kind(items, definitions)}"
        case {"type": "object", "additionalProperties": items}:
            return f"table of: {_kind(items, definitions)}"
        case {"type": "boolean"}:
            return "`true` or `false`"
        case {"type": "string", "format": "path"}:
            return "path"
        case {"type": "string"}:
            return "text"
    return _bounded(str(schema["type"]), schema)


def _bounded(kind: str, schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        return f"{kind} over {schema['exclusiveMinimum']:g}"
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    if low is not None:
        return f"{kind} from {low:_} on"
    return kind


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "required"
    if value is None or value == () or isinstance(value, BaseModel):
        return "none"
    if isinstance(value, str | Path):
        return _code(json.dumps(str(value)))
    if isinstance(value, bool):
        return _code(json.dumps(value))
    if isinstance(value, int) and value >= 10_000 and value != 44818:
        return _code(f"{value:_}")
    return _code(value)


def example() -> Iterator[str]:
    """The example of a site file, whole."""
    yield "```toml site"
    yield EXAMPLE.read_text("utf-8").rstrip()
    yield "```"


# -- commands ----------------------------------------------------------------------


def commands() -> dict[str, Any]:
    """The command objects by name; their class differs between versions of Typer."""
    group: Any = get_command(app)
    return {name: group.get_command(None, name) for name in COMMANDS}


def options(command: Any) -> set[str]:
    """All options of a command, as they are typed."""
    return {
        text
        for parameter in command.params
        for text in (*parameter.opts, *parameter.secondary_opts)
        if text.startswith("-")
    }


def command_pages() -> Iterator[str]:
    """Every command with its help and options."""
    for name, command in commands().items():
        function = getattr(importlib.import_module(COMMANDS[name]), name)
        hints = get_type_hints(function, include_extras=True)
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = "".join(f" [{p.name}{'...' * (p.nargs != 1)}]" for p in arguments)
        yield from ("", f"## pm500 {name}", "")
        yield f"Usage: `pm500 {name} [OPTIONS]{usage}`"
        yield from ("", str(command.help).strip(), "")
        if not command.params:
            yield "It has no options of its own."
            continue
        yield from table(
            ("option", "value", "default", "meaning"),
            (_option(parameter, hints[parameter.name]) for parameter in command.params),
        )


def _option(parameter: Any, hint: Any) -> tuple[str, str, str, str]:
    names = [*parameter.opts, *parameter.secondary_opts]
    default = parameter.default
    shown = default.value if isinstance(default, Enum) else default
    told = "none" if shown is None or isinstance(shown, bool) else _code(shown)
    if isinstance(shown, bool) and parameter.secondary_opts:
        told = _code(parameter.opts[0] if shown else parameter.secondary_opts[0])
    if parameter.envvar:
        told = f"{_code('$' + parameter.envvar)}, else {told}"
    value = parameter.metavar or _value(hint)
    return (
        ", ".join(map(_code, names)),
        _code(value) if value else "",
        told,
        str(parameter.help),
    )


def _value(hint: Any) -> str:
    """What an option takes, in a word; nothing for a switch."""
    info = None
    if get_origin(hint) is Annotated:
        hint, info = get_args(hint)[:2]
    if get_origin(hint) in (Union, UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    if get_origin(hint) is list:
        (hint,) = get_args(hint)
    if hint is bool:
        return ""
    if issubclass(hint, Enum):
        return "|".join(str(member.value) for member in hint)
    word = {str: "TEXT", Path: "PATH", int: "INTEGER", float: "NUMBER"}[hint]
    low, high = getattr(info, "min", None), getattr(info, "max", None)
    if low is not None and high is not None:
        return f"{word} {low}..{high}"
    return word if low is None else f"{word} {low}.."


# -- meters and data ---------------------------------------------------------------


def profiles() -> Iterator[str]:
    """The shipped meter models, group by group."""
    yield from table(
        ("profile", "meter", "group", "period", "EtherNet/IP", "Modbus", "readings"),
        (
            (
                _code(name),
                profile.title,
                _code(group.name),
                f"{group.period_seconds:g} s",
                _requests(group.requests("ethernet_ip")),
                _requests(group.requests("modbus")),
                str(len(group.points)),
            )
            for name in profile_names()
            for profile in (load_profile(name),)
            for group in profile.group
        ),
    )


def _requests(count: int) -> str:
    return f"{count} request{'s' * (count > 1)}" if count else "no"


_STATUS: Mapping[Status, str] = {
    Status.OK: "Every request was answered.",
    Status.PARTIAL: "Some requests were answered: their readings are kept. The ledger "
    "counts it as failed.",
    Status.TIMEOUT: "A request was not answered within `poll.timeout_seconds`.",
    Status.REFUSED: "The meter refused the connection.",
    Status.UNREACHABLE: "No way to its address, or no connection in that time.",
    Status.CLOSED: "The connection was closed or reset.",
    Status.CIP_ERROR: "EtherNet/IP answered with an error status.",
    Status.MODBUS_EXCEPTION: "Modbus answered with an exception.",
    Status.MALFORMED: "The answer was cut, too long, or no answer at all.",
    Status.FOREIGN_DEVICE: "Another device answers at this address.",
    Status.SUSPENDED: "EtherNet/IP is silent after our own Modbus reads "
    '(`protocol = "both"`).',
    Status.OVERRUN: "The poll before was still running: nothing was sent.",
    Status.BACKING_OFF: "The meter is lost and not asked again yet: nothing was sent.",
}


def statuses() -> Iterator[str]:
    """The outcomes of a poll."""
    yield from table(
        ("code", "status", "when"),
        ((str(int(s)), _code(s.label), _STATUS[s]) for s in Status),
    )


_RESERVED = "Reserved: no rule gives it yet."
_QUALITY: Mapping[Quality, str] = {
    Quality.GOOD: "Nothing is wrong with it.",
    Quality.UNCERTAIN_NOT_COMMISSIONED: "Its place is only inferred, and no "
    "commissioning check is recorded for this device.",
    Quality.UNCERTAIN_INCONSISTENT: "S² ≥ P² + Q² does not hold in its frame, beyond the "
    "meter's accuracy: real, reactive and apparent power of that phase get it.",
    Quality.UNCERTAIN_FROZEN: _RESERVED,
    Quality.UNCERTAIN_SUBSTITUTED: _RESERVED,
    Quality.UNCERTAIN_CLOCK: _RESERVED,
    Quality.UNCERTAIN_WIRING: _RESERVED,
    Quality.UNCERTAIN_INCOMPLETE: _RESERVED,
    Quality.BAD_NO_VALUE: "The poll failed, or its request was not answered.",
    Quality.BAD_NOT_A_NUMBER: "NaN or infinity.",
    Quality.BAD_OVERLOAD: "A gauge over 1e9 on the wire: the display shows EEEE.",
    Quality.BAD_OUT_OF_RANGE: "Outside the quantity's range.",
    Quality.BAD_NOT_IN_SYSTEM: "It means nothing in the meter's electrical system.",
    Quality.BAD_COUNTER: _RESERVED,
}


def qualities() -> Iterator[str]:
    """The qualities of a reading."""
    yield from table(
        ("code", "quality", "value", "Sparkplug `Quality`", "archive `quality`", "when"),
        (
            (
                str(int(q)),
                _code(q.label),
                "yes" if q.has_value else "no",
                f"{q.sparkplug}{' and `uncertain`' if q and q.has_value else ''}",
                str(q.archive),
                _QUALITY[q],
            )
            for q in Quality
        ),
    )


def quantities() -> Iterator[str]:
    """The table of quantities; demand and maximum are told in a sentence of the page."""
    plain = [
        quantity
        for name, quantity in QUANTITIES.items()
        if not name.startswith(("demand", "maximum"))
    ]
    yield from table(
        ("name", "unit", "kind", "type", "range"),
        (
            (_code(q.name), q.unit, q.kind, q.avro_type, _range(q))
            for q in sorted(plain, key=lambda q: (q.kind, q.name))
        ),
    )


def _range(quantity: Quantity) -> str:
    if quantity.kind == "state":
        return ""
    return f"{quantity.low:g} to {quantity.high:g}"


_COLUMN: Mapping[str, str] = {
    "site": "First part of the asset's name; partition.",
    "date": "UTC date of the slot, of an event's beginning; partition.",
    "area": "Second part of the asset's name.",
    "asset": "Third part of the asset's name.",
    "profile": "The meter model.",
    "seq": "Number of the slot: `slot` / `period` since the epoch.",
    "period": "Microseconds between two slots.",
    "slot": "The scheduled instant.",
    "sent": "When the first request went out.",
    "received": "When the outcome was known.",
    "status": "The outcome: see [statuses](meters.md#statuses).",
    "quality": "The row's worst reading: 192 good, 64 uncertain, 0 bad.",
    "flags": "Each reading that is not good, with its quality code; null where all are "
    "good and where the poll failed.",
    "id": "Made of the event's content: the same event has the same id.",
    "revision": "Of rows with the same id, the highest counts.",
    "kind": "See [events](#events).",
    "time": "When it happened or began.",
    "until": "When it ended; null for an instant.",
    "group": "The group that it is about, where it is about one.",
    "severity": "`info`, `warning` or `error`.",
    "text": "In words.",
    "data": "Details by name.",
}


def frame_columns() -> Iterator[str]:
    """The columns of every table of frames."""
    schema = frame_table_schema(FrameSchema("profile", "group", ()))
    yield from table(
        ("column", "type", "meaning"),
        ((_code(f.name), _code(f.type), _COLUMN[f.name]) for f in schema),
    )


def event_columns() -> Iterator[str]:
    """The columns of the table of events."""
    yield from table(
        ("column", "type", "meaning"),
        ((_code(f.name), _code(f.type), _COLUMN[f.name]) for f in EVENT_SCHEMA),
    )


# -- operations --------------------------------------------------------------------


def ports() -> Iterator[str]:
    """The flows and where each listens by default."""
    base = Site.model_fields["observe"].default.base_port
    yield from table(
        ("flow", "port"),
        ((_code(name), str(base + flow.port_offset)) for name, flow in FLOWS.items()),
    )


def metrics() -> Iterator[str]:
    """What ``/metrics`` counts."""
    yield from table(
        ("metric", "kind", "labels", "meaning"),
        (
            (_code(name), row.kind, ", ".join(map(_code, row.labels)), row.help)
            for name, row in METRICS.items()
        ),
    )


PARTS: Mapping[str, Callable[[], Iterator[str]]] = {
    "settings": settings,
    "example": example,
    "commands": command_pages,
    "profiles": profiles,
    "profile-language": profile_language,
    "statuses": statuses,
    "qualities": qualities,
    "quantities": quantities,
    "frame-columns": frame_columns,
    "event-columns": event_columns,
    "ports": ports,
    "metrics": metrics,
}


def main() -> None:
    """Write every page whose generated parts are stale."""
    for path in pages():
        before = path.read_text("utf-8")
        after = filled(before)
        if after != before:
            path.write_text(after, "utf-8")
            print(f"written: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
