"""Sparkplug topics: ``spBv1.0/<group>/<type>/<node>[/<device>]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from transforms.model.asset import Asset

__all__ = ["NAMESPACE", "MessageType", "Topic", "edge_node"]

NAMESPACE = "spBv1.0"
MessageType = Literal[
    "NBIRTH", "NDEATH", "NDATA", "NCMD", "DBIRTH", "DDEATH", "DDATA", "DCMD"
]
_TYPES: dict[str, MessageType] = {name: name for name in get_args(MessageType)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One topic that parses and prints itself.

    >>> str(Topic(group="pm500", type="DDATA", node="plant.hall1", device="main"))
    'spBv1.0/pm500/DDATA/plant.hall1/main'
    """

    group: str
    type: MessageType
    node: str
    device: str | None = None

    def __str__(self) -> str:
        topic = f"{NAMESPACE}/{self.group}/{self.type}/{self.node}"
        return topic if self.device is None else f"{topic}/{self.device}"

    @classmethod
    def parse(cls, text: str) -> Topic:
        """The topic; ValueError where it is no Sparkplug topic of node or device."""
        namespace, *levels = text.split("/")
        kind = _TYPES.get(levels[1]) if len(levels) in (3, 4) else None
        wanted = 4 if kind and kind.startswith("D") else 3
        if namespace != NAMESPACE or not all(levels) or kind is None:
            raise ValueError(f"{text!r} is no Sparkplug topic")
        if len(levels) != wanted:
            raise ValueError(f"{text!r}: {kind} has {wanted + 1} levels")
        group, _, node, *device = levels
        return cls(group=group, type=kind, node=node, device=next(iter(device), None))


def edge_node(asset: Asset) -> str:
    """The edge node of an asset; neither part may hold a dot, so it splits one way.

    >>> edge_node(Asset.parse("plant/hall1/main"))
    'plant.hall1'
    """
    return f"{asset.site}.{asset.area}"
