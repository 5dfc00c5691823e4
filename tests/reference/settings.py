"""Every key of a site file and of a profile, from the models' own descriptions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dataflows.site import Site
from tests.reference.markdown import code, table
from transforms.model import profile as language

__all__ = ["example", "flat_fields", "profile_language", "settings"]

EXAMPLE = Path(__file__).parents[2] / "deploy" / "site.example.toml"


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
                code(name),
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
            return ", ".join(code(json.dumps(value)) for value in values)
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
        return code(json.dumps(str(value)))
    if isinstance(value, bool):
        return code(json.dumps(value))
    if isinstance(value, int) and value >= 10_000 and value != 44818:
        return code(f"{value:_}")
    return code(value)


def example() -> Iterator[str]:
    """The example of a site file, whole."""
    yield "```toml site"
    yield EXAMPLE.read_text("utf-8").rstrip()
    yield "```"
