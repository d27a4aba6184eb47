"""Transfer learning in two phases: a new head on the frozen base, then the top of the base, slowly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tlkit.config import FinetuneConfig
from tlkit.errors import RunError
from tlkit.inference.select import resolve_engine
from tlkit.training.plan import FinetuneResult, Job, plan_training
from tlkit.training.reproduce import versions
from tlkit.training.run_state import RunState, create_run_dir, open_interrupted_run, read_state, write_state
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated


def finetune(config: FinetuneConfig) -> FinetuneResult:
    """Train a classifier for a data folder and leave it in a run folder.

    Raises:
        TlkitError: Options, data or weights that cannot be used; nothing is left behind then.
    """
    job = plan_training(config)
    with create_run_dir(config.output, job.architecture.name) as folder:
        # the engine of today, not of the day when it is gone on with; features that are given may be of any
        engine = resolve_engine(config.engine) if config.features is None else config.engine
        begun = dataclasses.replace(config, engine=engine)
        state = RunState(begun, versions(), job.weights.digest, job.room)
        write_state(folder, state)
        return _train(job, folder, state)


def resume(run: str, data: str | None = None) -> FinetuneResult:
    """Go on with a run that was broken off, after its last whole epoch.

    Args:
        run: Its folder.
        data: Where the pictures are now; None for where they were.

    Raises:
        RunError: It is no such run, it is finished, another process is at work on it, or its weights changed.
        DataError: The pictures are not those that it was begun with.
    """
    with open_interrupted_run(Path(run)) as folder:
        state = read_state(folder)
        if data is not None:
            state = dataclasses.replace(state, config=dataclasses.replace(state.config, data=data))
        job = dataclasses.replace(plan_training(state.config), room=state.room)
        if job.weights.digest != state.weights:
            raise RunError(
                f"The weights {job.weights.name} are not those that the run was begun with.",
                hint="Put back the file that was there, or start a new run.",
            )
        now = versions()
        changed = sorted(name for name in {*now, *state.versions} if now.get(name) != state.versions.get(name))
        if changed:
            logger.warning(
                "%s changed since the run was begun: it may end otherwise than it would have.", join_truncated(changed)
            )
        return _train(job, folder, state)


def _train(job: Job, folder: Path, state: RunState) -> FinetuneResult:
    from tlkit.commands.train import train  # Keras starts here

    return train(job, folder, state)
