from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel

from dataflows.site import (
    S3,
    AlertSettings,
    Archive,
    Derive,
    Influx,
    Kafka,
    LogSettings,
    Meter,
    Mqtt,
    Observe,
    Poll,
    Site,
    SiteError,
    SiteSection,
    load_site,
    site_path,
)
from tests.transforms.model.mutations import mutated

EXAMPLE = Path(__file__).parents[2] / "deploy" / "site.example.toml"
SECTIONS: dict[str, type[BaseModel]] = {
    "site": SiteSection,
    "log": LogSettings,
    "poll": Poll,
    "meter": Meter,
    "mqtt": Mqtt,
    "kafka": Kafka,
    "influx": Influx,
    "archive": Archive,
    "derive": Derive,
    "alert": AlertSettings,
    "s3": S3,
    "observe": Observe,
}
SMALL = """
[site]
name = "plant"
[[meter]]
asset = "hall/m1"
host = "192.0.2.10"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "site.toml"


def mistakes_of(path: Path, text: str) -> tuple[str, ...]:
    path.write_text(text)
    with pytest.raises(SiteError) as raised:
        load_site(path)
    return raised.value.mistakes


def test_a_small_site_has_defaults_for_the_rest(path: Path) -> None:
    path.write_text(SMALL)
    site = load_site(path)
    (meter,) = site.meter
    assert site.asset(meter) == "plant/hall/m1"
    assert (meter.profile, meter.protocol) == ("pm500", "ethernet_ip")
    assert site.site.time_zone == "UTC"
    assert site.mqtt is None
    assert site.archive == Archive()


def test_folders_stand_beside_the_file(path: Path) -> None:
    path.write_text(SMALL)
    site = load_site(path)
    assert site.data == path.parent / "data"
    assert site.log_path == path.parent / "data" / "log" / "edge.sqlite"
    assert site.archive_place == f"{path.parent}/data/archive"
    assert site.commissioning_path == path.parent / "data" / "commissioning.json"


@pytest.mark.parametrize(
    ("own", "place"),
    [
        ("tables", "{folder}/tables"),
        ("{folder}/elsewhere", "{folder}/elsewhere"),
        ("s3://bucket/plant", "s3://bucket/plant"),
    ],
)
def test_the_archive_is_a_folder_or_a_bucket(path: Path, own: str, place: str) -> None:
    folder = path.parent
    path.write_text(f'{SMALL}[archive]\npath = "{own.format(folder=folder)}"\n')
    assert load_site(path).archive_place == place.format(folder=folder)


@pytest.mark.parametrize("place", ["gs://bucket/plant", "s3://", "s3:///plant"])
def test_another_place_for_the_archive_is_a_mistake(path: Path, place: str) -> None:
    mistakes = mistakes_of(path, f'{SMALL}[archive]\npath = "{place}"\n')
    assert mistakes == (
        f"archive.path: {place!r} is neither a folder nor s3://bucket/prefix",
    )


def test_a_site_without_kafka_has_none(path: Path) -> None:
    path.write_text(SMALL)
    assert load_site(path).kafka is None


def test_each_version_of_influxdb_has_its_own_settings(path: Path) -> None:
    one = f'{SMALL}[influx]\nurl = "http://h:8086"\nversion = 1\n'
    assert mistakes_of(path, f'{one}bucket = "b"\npassword_file = "x"\n') == (
        "influx.password_file: 'x' cannot be read",
        "influx.database: Field required with version 1",
        "influx.bucket: has no meaning with version 1",
        "influx.password_file: needs a username",
    )
    two = f'{SMALL}[influx]\nurl = "h:8086"\ndatabase = "d"\n'
    assert mistakes_of(path, two) == (
        "influx.url: must be http://host:port or https://host:port, without more",
        "influx.org: Field required with version 2",
        "influx.bucket: Field required with version 2",
        "influx.database: has no meaning with version 2",
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://u:p@h",
        "http://h/?token=t",
        "http://h:99999",
        "http://h/ a",
        "ftp://h",
        "",
    ],
)
def test_a_url_with_more_than_host_and_port_is_a_mistake_and_not_shown(
    path: Path, url: str
) -> None:
    text = f'{SMALL}[influx]\nurl = "{url}"\norg = "o"\nbucket = "b"\n'
    assert mistakes_of(path, text) == (
        "influx.url: must be http://host:port or https://host:port, without more",
    )


def test_a_breaker_must_be_a_tag(path: Path) -> None:
    mistake, *_ = mistakes_of(path, f'{SMALL}breaker = ""\n')
    assert mistake == (
        "meter[0].breaker: '' must not be empty, hold control characters or end with a "
        "backslash"
    )


def test_settings_of_the_kafka_client_are_kept_as_they_are(path: Path) -> None:
    text = f"""{SMALL}
        [kafka]
        bootstrap_servers = "kafka1:9093,kafka2:9093"
        [kafka.client]
        "security.protocol" = "sasl_ssl"
        "socket.keepalive.enable" = true
        "metadata.max.age.ms" = 60000
        """
    path.write_text(text)
    kafka = load_site(path).kafka
    assert kafka is not None
    assert kafka.bootstrap_servers == "kafka1:9093,kafka2:9093"
    assert kafka.client == {
        "security.protocol": "sasl_ssl",
        "socket.keepalive.enable": True,
        "metadata.max.age.ms": 60000,
    }


def test_kafka_settings_that_break_a_promise_or_hold_a_secret_are_mistakes(
    path: Path,
) -> None:
    text = f"""{SMALL}
        [kafka]
        bootstrap_servers = "kafka:9092"
        topic_prefix = "plant one."
        partitions = 0
        sasl_password_file = "nowhere"
        [kafka.client]
        "sasl.password" = "hunter2"
        "ssl.key.password" = "hunter2"
        "enable.idempotence" = false
        "auto.offset.reset" = "latest"
        """
    assert mistakes_of(path, text) == (
        "kafka.topic_prefix: 'plant one.' must be of letters, digits, '.', '_' and '-'",
        "kafka.partitions: Input should be greater than or equal to 1",
        "kafka.sasl_password_file: 'nowhere' cannot be read",
        "kafka.client.sasl.password: no secrets in this file: use sasl_password_file",
        "kafka.client.ssl.key.password: no secrets in this file: use "
        "ssl_key_password_file",
        "kafka.client.enable.idempotence: pm500 sets it itself",
        "kafka.client.auto.offset.reset: pm500 sets it itself",
    )


def test_the_site_file_is_the_one_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PM500_SITE", "/etc/pm500/site.toml")
    assert site_path() == Path("/etc/pm500/site.toml")
    monkeypatch.delenv("PM500_SITE")
    assert site_path() == Path("site.toml")


def test_every_mistake_of_a_site_is_listed_at_once(path: Path) -> None:
    text = Path(__file__).with_name("broken_site.toml").read_text("utf-8")
    assert mistakes_of(path, text) == (
        "folder: Extra inputs are not permitted",
        "site.time_zone: 'Mars/Olympus' is no time zone of the IANA database",
        "log.synchronous: Input should be 'normal' or 'full'",
        "log.retention_hours: Input should be greater than 0",
        "log.retention_bytes: Input should be greater than or equal to 1000000",
        "poll.timeout: Extra inputs are not permitted",
        "meter[1].host: '' must not be empty or hold space or '/'",
        "meter[1].protocol: Input should be 'ethernet_ip', 'modbus' or 'both'",
        "meter[1].electrical_system: Input should be '1P', '2P', '3P', '3P.1', "
        "'3P.2' or '3P.n'",
        "meter[1].uuid: badly formed hexadecimal UUID string",
        "meter[3].modbus_unit: Input should be less than or equal to 255",
        "meter[4].asset: Field required",
        "meter[4].host: Field required",
        "meter[4].groups.realtime: Input should be greater than 0",
        "meter[4].groups.energy: Input should be a finite number",
        "mqtt.host: String should have at least 1 character",
        "mqtt.port: Input should be less than or equal to 65535",
        "mqtt.group: 'pm500/x' must not be empty, hold space, control characters, "
        "'+', '/', '#', '=', '%' or '*', or start with '.'",
        "mqtt.password: Extra inputs are not permitted",
        "archive.roll_rows: Input should be greater than or equal to 1",
        "observe.log_format: Input should be 'auto', 'json' or 'console'",
        "colour: Extra inputs are not permitted",
        "site.name: 'plant.north' must not hold '.'",
        "meter[0].profile: 'pm5000' is not shipped; there are: em24, pm500",
        "meter[1].asset: 'hall/m1' stands already at meter[0]",
        "meter[2].asset: 'm1' is not of the form area/asset",
        "meter[2].protocol: profile em24 does not speak ethernet_ip",
        "meter[2].groups: nothing to poll",
        "meter[3].asset: area: 'hall.1' must not hold '.'",
        "meter[3].groups.realtime: 0.1 s is under the profile's minimum of 0.2 s",
        "meter[3].groups.demand: cannot be read by Modbus",
        "meter[3].groups.energy: 7 s does not divide the hour",
        "meter[3].groups.harmonics: profile pm500 has no such group; it has: "
        "realtime, energy, demand, maximum, status",
    )


def test_the_message_names_the_file_and_counts_the_mistakes(path: Path) -> None:
    path.write_text("[site]\nname = 'plant'\n")
    with pytest.raises(SiteError) as raised:
        load_site(path)
    assert str(raised.value) == f"{path}: 1 mistake(s)\n  meter: Field required"


def test_no_mistake_shows_a_secret_that_was_put_into_the_file(path: Path) -> None:
    text = SMALL + '[mqtt]\nhost = "broker"\npassword = "hunter2"\n'
    mistakes = mistakes_of(path, text)
    assert mistakes == ("mqtt.password: Extra inputs are not permitted",)


def test_a_file_that_is_not_there_is_a_mistake(path: Path) -> None:
    with pytest.raises(SiteError) as raised:
        load_site(path)
    assert raised.value.mistakes == ("no such file",)


def test_a_folder_in_the_files_place_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="Is a directory"):
        load_site(tmp_path)


def test_a_file_that_is_not_toml_says_where(path: Path) -> None:
    (mistake,) = mistakes_of(path, "[site\n")
    assert "line 1" in mistake


def test_a_file_that_is_no_text_is_a_mistake(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SiteError, match="utf-8"):
        load_site(path)


@pytest.mark.parametrize("period", ["0.2", "0.25", "0.5", "1", "1.5", "3600", "7200"])
def test_a_period_that_divides_the_hour_or_is_whole_hours_is_right(
    path: Path, period: str
) -> None:
    path.write_text(f"{SMALL}groups = {{ realtime = {period} }}\n")
    assert load_site(path).meter[0].groups == {"realtime": float(period)}


@pytest.mark.parametrize("period", ["0.7", "7", "11", "3601"])
def test_a_period_that_does_not_divide_the_hour_is_a_mistake(
    path: Path, period: str
) -> None:
    text = f"{SMALL}groups = {{ realtime = {period} }}\n"
    expected = f"meter[0].groups.realtime: {period} s does not divide the hour"
    assert mistakes_of(path, text) == (expected,)


def test_the_uuid_is_kept_in_its_one_form(path: Path) -> None:
    path.write_text(f'{SMALL}uuid = "6F1C2F6E2C395B0E9A510F5F2F3F7A11"\n')
    (meter,) = load_site(path).meter
    assert meter.uuid == "6f1c2f6e-2c39-5b0e-9a51-0f5f2f3f7a11"


def test_the_example_is_right() -> None:
    site = load_site(EXAMPLE)
    assert [site.asset(meter) for meter in site.meter] == [
        "plant/hall1/main",
        "plant/hall1/press",
        "plant/hall2/oven",
    ]


def optional_settings(text: str) -> Iterator[tuple[str, str, str]]:
    """Section, name and value of each setting that the example has in a comment."""
    section = ""
    for line in text.splitlines():
        if header := re.match(r"(?:# )?\[+([a-z0-9]+)\]+$", line):
            section = header[1]
        elif setting := re.match(r"# ([a-z_]+) = (\".*?\"|{.*?}|\S+)", line):
            yield section, setting[1], setting[2]


def test_every_setting_stands_in_the_example() -> None:
    text = EXAMPLE.read_text("utf-8")
    found = {(section, name) for section, name, _ in optional_settings(text)}
    for section, value in tomllib.loads(text).items():
        tables = value if isinstance(value, list) else [value]
        found |= {(section, name) for table in tables for name in table}
    settings = {
        (s, name) for s, model in SECTIONS.items() for name in model.model_fields
    }
    assert found == settings
    assert set(SECTIONS) == set(Site.model_fields) - {"folder"}


@pytest.mark.parametrize(
    ("section", "name", "value"), list(optional_settings(EXAMPLE.read_text("utf-8")))
)
def test_what_the_example_calls_a_default_is_the_default_and_right(
    section: str, name: str, value: str
) -> None:
    field = SECTIONS[section].model_fields[name]
    parsed = tomllib.loads(f"value = {value}")["value"]
    kinds = [kind for kind in (Path, tuple) if isinstance(field.default, kind)]
    own = kinds[0](parsed) if kinds else parsed
    # A table that may be absent shows what must stand in it, and tables of tables.
    shows = field.is_required() or field.default in (None, {})
    assert shows or own == field.default


def test_the_example_with_all_its_optional_settings_is_right(path: Path) -> None:
    text = EXAMPLE.read_text("utf-8")
    # One InfluxDB has one version; what the other one has is no setting of it.
    text = re.sub(r"(?m)^# .*# for version 1.*$", "", text)
    path.write_text(re.sub(r"(?m)^# (\[+[a-z0-9]+\]+$|[a-z_]+ = )", r"\1", text))
    for _, name, value in optional_settings(text):
        if name.endswith("_file"):
            (path.parent / value.strip('"')).write_text("secret\n", "utf-8")
    site = load_site(path)
    assert site.meter[0].electrical_system == "3P.n"
    assert site.mqtt is not None
    assert site.mqtt.password_file == Path("mqtt.password")
    assert site.kafka is not None
    assert site.kafka.sasl_password_file == Path("kafka.password")
    assert site.influx is not None
    assert site.influx.token_file == Path("influx.token")
    assert site.s3.endpoint == "http://192.0.2.4:9000"
    assert site.alert[0].above == 400.0


def test_every_setting_says_what_it_is() -> None:
    nameless = [
        (section, name)
        for section, model in SECTIONS.items()
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert nameless == []


def test_no_setting_holds_a_secret_itself() -> None:
    secret = re.compile(r"password|token|secret|key", re.IGNORECASE)
    names = [name for model in SECTIONS.values() for name in model.model_fields]
    found = [n for n in names if secret.search(n) and not n.endswith("_file")]
    assert found == []


@given(mutated(tomllib.loads(EXAMPLE.read_text("utf-8"))))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_says_it_is_a_site_or_a_list_of_mistakes(
    path: Path, raw: dict[str, Any]
) -> None:
    path.write_text(_toml(raw))
    try:
        site = load_site(path)
    except SiteError:
        return
    assert isinstance(site, Site)


def _toml(value: Any) -> str:
    """The document as TOML: one line a key, tables inline."""
    return "\n".join(f"{_inline(key)} = {_inline(v)}" for key, v in value.items())


def _inline(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            escaped = "".join(f"\\u{ord(letter):04x}" for letter in value)
            return f'"{escaped}"'
        case dict():
            inner = (f"{_inline(key)} = {_inline(v)}" for key, v in value.items())
            return "{" + ", ".join(inner) + "}"
        case list():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case int() | float():
            return repr(value)
        case _:
            return str(value.isoformat())


def test_one_meter_under_two_names_is_a_mistake(path: Path) -> None:
    path.write_text(
        """
        [site]
        name = "plant"
        [observe]
        base_port = 65535
        [mqtt]
        host = "broker"
        password_file = "nowhere"
        [[meter]]
        asset = "hall/m1"
        host = "10.0.0.5"
        [[meter]]
        asset = "hall/m2"
        host = "10.0.0.5"
        protocol = "both"
        [[meter]]
        asset = "hall/m3"
        profile = "em24"
        host = "gateway"
        protocol = "modbus"
        modbus_unit = 1
        [[meter]]
        asset = "hall/m4"
        profile = "em24"
        host = "gateway"
        protocol = "modbus"
        modbus_unit = 2
        """,
        "utf-8",
    )
    with pytest.raises(SiteError) as raised:
        load_site(path)
    assert raised.value.mistakes == (
        "observe.base_port: 65535 leaves no port for each flow",
        "mqtt.password_file: 'nowhere' cannot be read",
        "meter[1].host: the same meter as meter[0]",
    )
