"""``python -m tests.reference``: write every page whose generated parts are stale."""

from __future__ import annotations

from tests.reference.pages import ROOT, filled, pages

if __name__ == "__main__":
    for path in pages():
        before = path.read_text("utf-8")
        after = filled(before)
        if after != before:
            path.write_text(after, "utf-8")
            print(f"written: {path.relative_to(ROOT)}")
