from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.codec.frames import SCHEMAS, schemas
from transforms.codec.frame import FrameSchema
from transforms.codec.framing import CodecError, fingerprint_of, header, schema_json

# The parsing canonical form by the rules of the Avro 1.12 specification, by hand.
EM24_ENERGY = (
    '{"name":"pm500.Frame_em24__energy","type":"record","fields":['
    '{"name":"seq","type":"long"},{"name":"period","type":"long"},'
    '{"name":"slot","type":"long"},{"name":"sent","type":"long"},'
    '{"name":"received","type":"long"},{"name":"status","type":"int"},'
    '{"name":"quality","type":{"name":"pm500.Quality2","type":"fixed","size":2}},'
    '{"name":"energyImport","type":"double"},{"name":"energyExport","type":"double"}]}'
)


def crc_64_avro(text: bytes) -> bytes:
    """The fingerprint as the Avro 1.12 specification writes it, in Java."""
    empty = 0xC15D213AA4D7A795
    fingerprint = empty
    for byte in text:
        row = (fingerprint ^ byte) & 0xFF
        for _ in range(8):
            row = (row >> 1) ^ (empty & -(row & 1))
        fingerprint = (fingerprint >> 8) ^ row
    return fingerprint.to_bytes(8, "little")


def test_the_independent_fingerprint_knows_the_specifications_own_value() -> None:
    # "int" is the example that the Avro project's own test data gives.
    assert crc_64_avro(b'"int"') == (0x7275D51A3F395C8F).to_bytes(8, "little")


def test_a_header_is_the_marker_and_the_crc_64_avro_of_the_canonical_form() -> None:
    (schema,) = (s for s in SCHEMAS if (s.profile, s.group) == ("em24", "energy"))
    assert schema.header == b"\xc3\x01" + crc_64_avro(EM24_ENERGY.encode())


def test_every_shipped_group_has_a_fingerprint_of_its_own() -> None:
    assert len({schema.fingerprint for schema in SCHEMAS}) == len(SCHEMAS)


@given(schemas)
def test_a_schema_comes_back_from_its_json_with_the_same_fingerprint(
    schema: FrameSchema,
) -> None:
    raw = json.loads(schema_json(schema.avro))
    back = FrameSchema.from_avro(raw)
    assert back == schema
    assert header(raw) == schema.header


def test_the_fingerprint_is_read_from_a_value() -> None:
    assert fingerprint_of(b"\xc3\x01abcdefghbody") == b"abcdefgh"


@given(st.binary(max_size=9) | st.binary().filter(lambda b: b[:2] != b"\xc3\x01"))
def test_bytes_without_a_whole_header_are_no_record(value: bytes) -> None:
    with pytest.raises(CodecError, match="no single-object record"):
        fingerprint_of(value)
