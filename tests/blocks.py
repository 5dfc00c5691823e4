"""The fenced blocks of README.md and docs/*.md.

Above a block may stand a comment with what the reader need not see:
``<!-- not run: REASON -->``, ``<!-- runs until: TEXT -->`` (it serves until Ctrl-C, which
comes when its output holds TEXT) and ``<!-- needs: flows, mosquitto, curl, kafka -->``.
``text`` blocks are pictures and outputs, not code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.reference.pages import ROOT

__all__ = ["Block", "blocks_of", "without_blocks"]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^>]*?) -->\n)?^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: ``kind`` is the word behind its language, ``note`` its comment."""

    page: Path
    line: int
    language: str
    kind: str
    note: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def noted(self, title: str) -> str:
        """What the comment says under a title; empty where it says nothing."""
        name, _, value = self.note.partition(":")
        return value.strip() if name == title else ""


def blocks_of(page: Path) -> Iterator[Block]:
    """All blocks of a page, in order."""
    text = page.read_text("utf-8")
    for match in _BLOCK.finditer(text):
        language, _, kind = match["info"].partition(" ")
        yield Block(
            page=page,
            line=text.count("\n", 0, match.start("info")) + 1,
            language=language,
            kind=kind,
            note=match["note"] or "",
            text=match["text"],
        )


def without_blocks(page: Path) -> str:
    """The text around the blocks."""
    return _BLOCK.sub("", page.read_text("utf-8"))
