"""Write the dashboards' JSON: ``python -m deploy.grafana.generate``.

``--time-zone`` makes days begin where the plant is; ``--folder`` writes elsewhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from zoneinfo import ZoneInfo

from deploy.grafana.generate.files import files

FOLDER = Path(__file__).parents[1] / "dashboards"


def main() -> None:
    """Write every file, and say where."""
    parser = argparse.ArgumentParser(description="Write the dashboards' JSON.")
    parser.add_argument(
        "--time-zone",
        default="UTC",
        type=lambda name: ZoneInfo(name).key,
        help="time zone in which days begin, such as Europe/Berlin",
    )
    parser.add_argument(
        "--folder", default=FOLDER, type=Path, help="where the files go"
    )
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, text in files(given.time_zone).items():
        path = given.folder / name
        path.write_text(text, "utf-8")
        print(path)


if __name__ == "__main__":
    main()
