"""``python -m dataflows`` is ``pm500``."""

from __future__ import annotations

from dataflows.cli import app

if __name__ == "__main__":
    app(prog_name="pm500")
