"""Transfer learning in two phases: train a new head on the frozen base, then retrain the top of the base slowly."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tlkit.config import ExportConfig, FinetuneConfig
from tlkit.data.layout import TEST, TRAIN, VALIDATION
from tlkit.distributed.cluster import Cluster, choose_cluster
from tlkit.distributed.lanes import Share
from tlkit.distributed.processes import leave, refuse_differences, reporting_lost_processes, training_share
from tlkit.errors import RunError, UsageError
from tlkit.features.cache import FeatureCache
from tlkit.inference.select import engine_for
from tlkit.training.base import Base, Stage, plan_stages
from tlkit.training.batches import TrainingBatches
from tlkit.training.folds import train_folds
from tlkit.training.linear_head import evaluate_linear_head, fit_linear_head
from tlkit.training.linear_model import write_linear_model
from tlkit.training.objective import Objective
from tlkit.training.plan import LBFGS, TrainingPlan, plan_training
from tlkit.training.reproduce import versions
from tlkit.training.result import FinetuneResult
from tlkit.training.run_state import (
    FEATURES,
    RunState,
    create_run_dir,
    follow,
    open_interrupted_run,
    read_state,
    refuse_finished,
    refuse_other_images,
    report_resumable,
    write_state,
)
from tlkit.training.save_run import Trained, save_run
from tlkit.training.split_data import SplitData
from tlkit.training.start_keras import keras_starting
from tlkit.training.trackers.base import first_line
from tlkit.training.trackers.tracking import Trackers, check_trackers, tracking
from tlkit.training.unknown import features_of_frozen, specs_of_frozen
from tlkit.utils.compute import BACKENDS, backend, use
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated


def finetune(config: FinetuneConfig) -> FinetuneResult | None:
    """Train a classifier for a data folder and save it as a run folder.

    Returns:
        The result; None in a process that trains with others and is not the one that writes the run.

    Raises:
        TlkitError: Options, data or weights that cannot be used; nothing is left behind then.
    """
    check_trackers(config)
    cluster = choose_cluster(config, os.environ)
    _refuse_undivided(config, cluster)
    leads = cluster is None or cluster.process_id == 0
    plan = plan_training(config, output=config.output if leads else None)
    with (
        training_share(config, cluster) as share,
        create_run_dir(config.output, plan.architecture.name) if leads else follow() as folder,
    ):
        # the engine of today, whatever is installed on the day of a resume; given features may be of either
        engine = config.engine
        if config.features is None:
            engine = engine_for(Base.of(plan).spec.network, config.engine)
        # and the backend, where KERAS_BACKEND or keras.json has chosen one
        chosen = config.backend if backend() == BACKENDS[0] else backend()
        plan = dataclasses.replace(plan, config=dataclasses.replace(plan.config, engine=engine, backend=chosen))
        assert isinstance(plan.config, FinetuneConfig)
        images = SplitData(plan.dataset, plan.preprocessor, config.batch_size)
        found = plan.weights.digest, plan.cache_budget_bytes, images.fingerprint()
        write_state(folder, RunState(plan.config, versions(), *found))
        return _run(plan, images, folder, share)


def _refuse_undivided(config: FinetuneConfig, cluster: Cluster | None) -> None:
    """Refuse what several processes, or devices, do not share."""
    if config.distribute == "auto" and cluster is None and ":" in config.device:
        raise UsageError(
            f"--distribute auto uses all GPUs, and --device {config.device} one.", hint="Leave one of them out."
        )
    if cluster is None:
        return
    if config.folds is not None:
        raise UsageError("--folds trains its runs in one process.", hint="Leave it out, or --coordinator and the like.")
    if config.head_optimizer == LBFGS and config.epochs:
        raise UsageError(
            "L-BFGS fits a linear head in one process, in seconds.",
            hint="Add --optimizer rmsprop, or train the head and what follows in one process.",
        )


def resume(run: str, data: str | None, options: Mapping[str, Any]) -> FinetuneResult | None:
    """Resume an interrupted run after its last completed epoch.

    Args:
        run: The run folder.
        data: Where the images are now; None for where they were.
        options: Options of :class:`~tlkit.config.ResumeOptions` that differ from those it started with; the processes
            that train together are always those of now.

    Returns:
        As :func:`finetune`.

    Raises:
        RunError: It is not an interrupted run, another process trains it, or its weights file changed.
        DataError: The images are not those that it started with.
    """
    path = Path(run)
    refuse_finished(path)
    state = read_state(path)
    config = state.config.resumed(options, data)
    use(config.threads, config.backend, config.device)
    cluster = choose_cluster(config, os.environ)
    _refuse_undivided(config, cluster)
    leads = cluster is None or cluster.process_id == 0
    with (
        training_share(config, cluster) as share,
        open_interrupted_run(path) if leads else follow(path) as folder,
        report_resumable(path) if leads else nullcontext(),
    ):
        state = dataclasses.replace(state, config=config)
        plan = plan_training(state.config)
        if plan.weights.digest != state.weights_digest:
            raise RunError(
                f"The weights {plan.weights.name} are not those that the run started with.",
                hint="Put back the original file, or start a new run.",
            )
        images = SplitData(plan.dataset, plan.preprocessor, state.config.batch_size)
        refuse_other_images(state, images.fingerprint())
        warnings = [*plan.warnings, *_changed_versions(state)]
        plan = dataclasses.replace(plan, cache_budget_bytes=state.cache_budget_bytes, warnings=tuple(warnings))
        return _run(plan, images, folder, share)


def _changed_versions(state: RunState) -> list[str]:
    now = versions()
    changed = sorted(name for name in {*now, *state.versions} if now.get(name) != state.versions.get(name))
    if not changed:
        return []
    warning = (
        f"Versions of {join_truncated(changed)} changed since the run started: its numbers may differ from an "
        "uninterrupted run."
    )
    logger.warning(warning)
    return [warning]


def _run(plan: TrainingPlan, images: SplitData, folder: Path, share: Share) -> FinetuneResult | None:
    """Train the runs of all folds, where there are any, and then the run."""
    assert isinstance(plan.config, FinetuneConfig)
    config = plan.config if share.leads else plan.config.reproducible
    _refuse_differences(plan, images, folder, share)
    with tracking(config, folder) as trackers, reporting_lost_processes(share):
        if config.folds is not None:
            plan = train_folds(plan, folder, partial(_train_fold, trackers, share))
            images = SplitData(plan.dataset, plan.preprocessor, config.batch_size)
        result = _train(plan, images, folder, trackers, share)
        if trackers.keeps_files:
            _export(folder, trackers)
        return result


def _export(run: Path, trackers: Trackers) -> None:
    """Hand an export of the run to the trackers; one that cannot be made is warned about."""
    from tlkit.commands.export import PACKAGES, export  # of this alone

    suffix = ".onnx" if all(map(find_spec, PACKAGES["onnx"])) else ".xml"
    try:
        with tempfile.TemporaryDirectory() as folder:
            export(ExportConfig(source=str(run), output=str(Path(folder, run.name + suffix))))
            trackers.keep_files(Path(folder), "export")
    except Exception as error:  # the run is saved, and worth more
        logger.warning("MLflow has no export of %s: %s.", run, first_line(error))


def _refuse_differences(plan: TrainingPlan, images: SplitData, folder: Path, share: Share) -> None:
    """Refuse processes that would not train the same run."""
    if share.processes == 1:
        return
    from tlkit.training.checkpoint import read_checkpoint

    assert isinstance(plan.config, FinetuneConfig)
    options = plan.config.reproducible.effective()
    for flag in ("DATA", "--output", "--weights", "--threads", "--device", "--cache-limit"):  # where things are
        del options[flag]
    packages = {name: version for name, version in versions().items() if name != "python"}
    done = sum(len(phase.epochs) for phase in checkpoint.phases) if (checkpoint := read_checkpoint(folder)) else 0
    found = {"weights": plan.weights.digest, "images": images.fingerprint()[:16], "epochs done": done}
    with reporting_lost_processes(share):
        refuse_differences(share, options | packages | found)


def _train_fold(whole: Trackers, share: Share, plan: TrainingPlan, images: SplitData, folder: Path) -> FinetuneResult:
    """Train the run of a fold, which is tracked below the whole run."""
    assert isinstance(plan.config, FinetuneConfig)
    with tracking(plan.config, folder, whole) as trackers:
        result = _train(plan, images, folder, trackers, share)
        assert result is not None  # folds are of one process
        return result


def _train(
    plan: TrainingPlan, images: SplitData, folder: Path, trackers: Trackers, share: Share
) -> FinetuneResult | None:
    """Train a run in its locked folder, from the last checkpoint where there is one, and save it."""
    # Find what each stage of phase 2 trains, and the frontier below it.
    base = Base.of(plan)
    stages = plan_stages(base, plan.freeze_points, batchnorm=plan.config.batchnorm)

    # Run the frozen part once per image: the pooled base for phase 1, the frontier for phase 2.
    along = specs_of_frozen(plan, base) if share.processes == 1 else ()
    data = TrainingBatches(plan, images, base, stages, along, share)
    with FeatureCache(folder / FEATURES, share.process) as cache:
        with keras_starting(plan.config.engine) if plan.needs_keras else nullcontext():
            data.prepare(cache)
        if plan.needs_keras:
            trained = _train_with_keras(plan, images, base, stages, data, folder, trackers, share)
        else:
            trained = _fit_head(plan, images, base, data)
            trackers.phases(trained.phases)
        known = features_of_frozen(data, along, images, seed=plan.config.seed)
    if not share.leads:
        return None
    if plan.cross_validation:
        found = {VALIDATION: plan.cross_validation.evaluation(images.classes), **trained.evaluations}
        trained = dataclasses.replace(trained, evaluations=found)
    return save_run(folder, plan, images, stages, trained, data.provenance, known, trackers)


def _fit_head(plan: TrainingPlan, images: SplitData, base: Base, data: TrainingBatches) -> Trained:
    """Fit a linear head on the features of the frozen base, and nothing else: Keras does not start."""
    head, phase = fit_linear_head(plan, images, data, base.spec)
    evaluations = {
        split: evaluate_linear_head(head, images, data, base.spec, split)
        for split in (VALIDATION, TEST)
        if split in images.splits
    }
    return Trained([phase], evaluations, partial(write_linear_model, plan, base, head))


def _train_with_keras(
    plan: TrainingPlan,
    images: SplitData,
    base: Base,
    stages: Sequence[Stage],
    data: TrainingBatches,
    folder: Path,
    trackers: Trackers,
    share: Share,
) -> Trained:
    """Train the head, then the top of the base with it."""
    # Keras has started: everything that can be refused has been, and from here on it trains.
    from tlkit.backend import keras_scope
    from tlkit.training.checkpoint import read_checkpoint
    from tlkit.training.evaluate import evaluate
    from tlkit.training.model import assemble_model, build_trainable_top
    from tlkit.training.phases import new_head, train_head, undistributed, unfrozen_top
    from tlkit.training.trainer import Trainer

    config = plan.config
    objective = Objective.for_labels(config, images.splits[TRAIN].labels, len(images.classes))
    trainer = Trainer(
        objective,
        folder,
        read_checkpoint(folder),
        keeps_best=config.keep == "best",
        cross_validation=plan.cross_validation,
        trackers=trackers,
        leads=share.leads,
    )
    head = new_head(plan, images, base)

    # Phase 1: train the head on the features of the frozen base.
    if plan.head_phase and not trainer.is_done(plan.head_phase):
        train_head(plan.head_phase, head, plan, images, base, data, trainer)

    # Phase 2: unfreeze the top of the base and train it with the head, stage by stage.
    for number, stage in enumerate(stages):
        phase = plan.finetune_phase(number)
        if trainer.is_done(phase):
            continue
        stage.report(number + 1 if len(stages) > 1 else None, batchnorm=config.batchnorm)
        with unfrozen_top(phase, number, stage, head, plan, base, data) as top:
            trainer.train(phase, top.model, top.train, top.validation, top.rate_factors)

    # Keep the best epoch of any phase, and evaluate it in float32, on the tensors of the last frontier.
    trainer.restore_kept()
    last = stages[-1].spec if stages else base.spec
    if share.processes > 1:
        base, head = undistributed(plan, images, base, head)
    top = build_trainable_top(base.pooled, stages[-1].frontier, head) if stages else head
    evaluations = {
        split: evaluate(top, data.batches(split, last), images, split, share)
        for split in (VALIDATION, TEST)
        if split in images.splits
    }
    if share.processes > 1:
        leave()

    # Join base, pooling and head into one model, which is never compiled: its file has no state of an optimizer.
    model = assemble_model(base.model, plan.head.pooling, head, plan.architecture.name, plan.preprocessor)
    return Trained(trainer.phases, evaluations, keras_scope()(model.save))
