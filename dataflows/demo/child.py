"""Run one of our modules as ``python -m`` would, for as long as the demo lives.

``python -m dataflows.demo.child MODULE ARGUMENT...``: the module ends when the process
that started it ends, by ``kill -9`` too.
"""

from __future__ import annotations

import runpy
import sys

from dataflows.orphan import follow_supervisor

if __name__ == "__main__":
    follow_supervisor()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
