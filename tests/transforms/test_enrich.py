from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from transforms.codec.records import Event
from transforms.enrich import Enricher, Place
from transforms.model.asset import Asset

PRESS = Place(
    key="plant/hall1/press",
    site="plant",
    area="hall1",
    asset="press",
    uuid="00000000-0000-0000-0000-000000000001",
    feeder="F2",
    breaker="Q7",
    electrical_system="3P.n",
    profile="pm500",
)
ENRICHER = Enricher({"plant/hall1/press": PRESS})


def test_a_configured_meter_is_where_the_site_says() -> None:
    assert ENRICHER.place("plant/hall1/press") == PRESS


def test_a_meter_that_is_not_configured_any_more_keeps_what_its_name_says() -> None:
    assert ENRICHER.place("plant/hall2/oven") == Place(
        key="plant/hall2/oven",
        site="plant",
        area="hall2",
        asset="oven",
        uuid=str(Asset("plant", "hall2", "oven").uuid),
    )


def test_a_key_that_is_no_name_is_no_mistake() -> None:
    assert ENRICHER.place("oven").asset == ""


def test_the_host_has_no_place() -> None:
    place = ENRICHER.place("")
    assert (place.site, place.area, place.asset) == ("", "", "")


def test_a_name_alone_gives_the_uuid_of_the_asset() -> None:
    own = uuid5(NAMESPACE_URL, "pm500:plant/hall2/oven")
    assert Place.of("plant/hall2/oven").uuid == str(own)


def test_labels_are_all_that_is_known() -> None:
    assert ENRICHER.labels("plant/hall1/press") == {
        "site": "plant",
        "area": "hall1",
        "asset": "press",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "feeder": "F2",
        "breaker": "Q7",
        "electrical_system": "3P.n",
        "profile": "pm500",
    }


def test_labels_leave_out_what_is_not_known() -> None:
    assert list(ENRICHER.labels("plant/hall2/oven")) == [
        "site",
        "area",
        "asset",
        "uuid",
    ]


def test_an_event_says_feeder_and_breaker() -> None:
    event = Event(asset="plant/hall1/press", kind="gap", time=1, data={"count": "2"})
    labelled = ENRICHER.labelled(event)
    assert labelled.data == {"feeder": "F2", "breaker": "Q7", "count": "2"}


def test_an_events_id_stays_when_it_is_labelled() -> None:
    event = Event(asset="plant/hall1/press", kind="gap", time=1)
    assert ENRICHER.labelled(event).id == event.id


def test_labelling_leaves_the_event_that_it_took() -> None:
    event = Event(asset="plant/hall1/press", kind="gap", time=1, data={"count": "2"})
    ENRICHER.labelled(event)
    assert event.data == {"count": "2"}


def test_what_an_event_says_itself_stays() -> None:
    data = {"breaker": "Q1"}
    event = Event(asset="plant/hall1/press", kind="gap", time=1, data=data)
    assert ENRICHER.labelled(event).data == {"breaker": "Q1", "feeder": "F2"}


def test_an_event_of_an_unknown_place_stays_as_it_is() -> None:
    event = Event(asset="plant/hall2/oven", kind="gap", time=1)
    assert ENRICHER.labelled(event) is event
