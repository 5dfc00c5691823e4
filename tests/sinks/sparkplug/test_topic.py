from __future__ import annotations

import pytest

from sinks.sparkplug.topic import Topic, edge_node
from transforms.model.asset import Asset


@pytest.mark.parametrize(
    "text",
    ["spBv1.0/pm500/NBIRTH/plant.hall1", "spBv1.0/pm500/DDATA/plant.hall1/main"],
)
def test_a_topic_prints_as_it_was_read(text: str) -> None:
    assert str(Topic.parse(text)) == text


def test_the_contracts_topic_of_a_meter() -> None:
    asset = Asset.parse("plant/hall1/main")
    topic = Topic(group="pm500", type="DDATA", node=edge_node(asset), device=asset.name)
    assert str(topic) == "spBv1.0/pm500/DDATA/plant.hall1/main"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spBv1.0/pm500/NBIRTH",
        "spBv1.0/pm500/NBIRTH/plant.hall1/main",
        "spBv1.0/pm500/DDATA/plant.hall1",
        "spBv1.0/pm500/plant/hall1/main",
        "spBv1.0/STATE/host",
        "spAv1.0/pm500/NDATA/plant.hall1",
        "spBv1.0//NDATA/plant.hall1",
    ],
)
def test_other_topics_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"topic|levels"):
        Topic.parse(text)
