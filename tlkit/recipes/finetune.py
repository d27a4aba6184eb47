"""Transfer learning in two phases: a new head on the frozen base, then the top of the base, slowly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tlkit.config import FinetuneConfig
from tlkit.progress import logger
from tlkit.recipes.again import versions
from tlkit.recipes.job import FinetuneResult, Job, look_and_decide
from tlkit.text import listed
from tlkit.training.unfinished import RunState, claim_folder, read_state, reclaim_folder, write_state


def finetune(config: FinetuneConfig) -> FinetuneResult:
    """Train a classifier for a data folder and leave it in a run folder.

    Raises:
        TlkitError: Options, data or weights that cannot be used; nothing is left behind then.
    """
    job = look_and_decide(config)
    with claim_folder(config.output, job.architecture.name) as folder:
        state = RunState(config, versions())
        write_state(folder, state)
        return _do(job, folder, state)


def resume(run: str, data: str | None = None) -> FinetuneResult:
    """Go on with a run that was broken off, after its last whole epoch.

    Args:
        run: Its folder.
        data: Where the pictures are now; None for where they were.

    Raises:
        RunError: It is no such run, it is finished, or another process is at work on it.
        DataError: The pictures are not those that it was begun with.
    """
    with reclaim_folder(Path(run)) as folder:
        state = read_state(folder)
        config = state.config if data is None else dataclasses.replace(state.config, data=data)
        now = versions()
        changed = [f"{name} {version}" for name, version in state.versions.items() if now.get(name) != version]
        if changed:
            logger.warning("The run was begun with %s: it will not end exactly where it would have.", listed(changed))
        return _do(look_and_decide(config), folder, state)


def _do(job: Job, folder: Path, state: RunState) -> FinetuneResult:
    from tlkit.recipes.train import train  # Keras starts here

    return train(job, folder, state)
