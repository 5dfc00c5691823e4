"""The dashboards as the texts of their files."""

from __future__ import annotations

import json

from deploy.grafana.generate.asset_detail import asset_detail
from deploy.grafana.generate.site_overview import site_overview

__all__ = ["files"]


def files(time_zone: str = "UTC") -> dict[str, str]:
    """Each file's name and text: the same for the same time zone, always."""
    made = {
        "asset-detail.json": asset_detail(time_zone),
        "site-overview.json": site_overview(time_zone),
    }
    return {
        name: json.dumps(board, indent=2, ensure_ascii=False) + "\n"
        for name, board in made.items()
    }
