"""The engine's own test entry points, which have no types."""

from __future__ import annotations

from pathlib import Path

from bytewax import recovery
from bytewax.dataflow import Dataflow
from bytewax.testing import cluster_main, run_main


def run_flow(
    flow: Dataflow, *, workers: int = 1, recovery_folder: Path | None = None
) -> None:
    """Run a flow to its end in this process; a new recovery folder is prepared."""
    config = None
    if recovery_folder is not None:
        if not recovery_folder.exists():
            recovery_folder.mkdir()
            recovery.init_db_dir(recovery_folder, 1)  # type: ignore[no-untyped-call]
        config = recovery.RecoveryConfig(str(recovery_folder))  # type: ignore[no-untyped-call]
    if workers == 1:
        run_main(flow, recovery_config=config)  # type: ignore[no-untyped-call]
    else:
        cluster_main(  # type: ignore[no-untyped-call]
            flow, [], 0, worker_count_per_proc=workers, recovery_config=config
        )
