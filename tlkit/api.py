"""The Python API: one function per command, with the same options, checks and errors.

Keyword arguments are the options of the command line with underscores. Defaults, ranges and help are those of
:mod:`tlkit.config`; a test compares the keywords below with its fields.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Required, TypedDict, TypeVar, Unpack, cast, overload

from tlkit import config
from tlkit.errors import UsageError
from tlkit.utils.compute import Backend, use
from tlkit.utils.options import Option, Options, options_of

if TYPE_CHECKING:
    from tlkit.commands.archs import ArchitectureInfo, Architectures
    from tlkit.commands.bottleneck import BottleneckResult
    from tlkit.commands.check import CheckResult
    from tlkit.commands.compare import CompareResult
    from tlkit.commands.convert_h5 import Converted
    from tlkit.commands.doctor import Diagnosis
    from tlkit.commands.evaluate import EvaluationResult
    from tlkit.commands.extract import ExtractResult
    from tlkit.commands.find_lr import FoundRate
    from tlkit.commands.inspect_h5 import Inspection
    from tlkit.commands.predict import Predictions
    from tlkit.commands.weights import FileStatus
    from tlkit.distributed.shares import PartResult
    from tlkit.exporting.result import ExportResult
    from tlkit.training.result import FinetuneResult

StrPath = str | os.PathLike[str]
Images = StrPath | Iterable[StrPath]
SizeLike = int | str | tuple[int, int] | list[int]
Function = TypeVar("Function", bound=Callable[..., Any])
Job = TypeVar("Job", bound=config.ComputeOptions)


class Load(TypedDict, total=False):
    """Keywords of :class:`tlkit.config.LoadOptions`."""

    by_name: bool
    skip_mismatch: bool
    layout: config.Layout | None
    flip_kernels: bool | None


class Width(TypedDict, total=False):
    """Keywords of :class:`tlkit.config.WidthOptions`."""

    alpha: float | None
    depth_multiplier: int | None


class Compute(TypedDict, total=False):
    """Keywords of :class:`tlkit.config.ComputeOptions`."""

    threads: int | None
    backend: Backend | None
    device: str


class Network(Load, Width, Compute, total=False):
    """Keywords of every job that runs a network."""

    size: SizeLike | None
    resize: config.Resize | None
    data_format: config.DataFormat | None
    engine: config.Engine
    precision: config.Precision


class Workers(TypedDict, total=False):
    """Keywords of :class:`tlkit.config.WorkersOptions`, beside ``part``."""

    ray: str | None
    workers: int | None
    merge: bool


class Predict(Network, Workers, total=False):
    """Keywords of :class:`tlkit.config.PredictConfig`."""

    arch: str | None
    model: StrPath | None
    weights: StrPath | None
    classes: int | None
    preprocess: config.Preprocess | None
    labels: StrPath | None
    allow_private: bool
    batch_size: int | None
    seed: int
    top: int
    explain: StrPath | None
    tta: bool
    unknown: bool
    uncalibrated: bool
    plot: StrPath | None
    force: bool


class Serve(Load, Compute, total=False):
    """Keywords of :class:`tlkit.config.ServeConfig`."""

    host: str
    port: int
    allow_urls: bool
    cors_origin: str | None
    max_body: int
    max_images: int
    queue: int
    size: SizeLike | None
    resize: config.Resize | None
    preprocess: config.Preprocess | None
    labels: StrPath | None
    top: int
    uncalibrated: bool
    engine: config.Engine
    precision: config.Precision


class Extract(Network, Workers, total=False):
    """Keywords of :class:`tlkit.config.ExtractConfig`."""

    arch: str | None
    model: StrPath | None
    weights: StrPath | None
    classes: int | None
    layer: str | None
    pooling: config.Pooling | None
    allow_private: bool
    batch_size: int | None
    seed: int
    output: Required[StrPath]
    force: bool


class BottleneckOptions(Network, Workers, total=False):
    """Keywords of :class:`tlkit.config.BottleneckConfig`."""

    val_split: float
    exclude: StrPath | None
    group: str | None
    arch: str
    weights: StrPath
    classes: int | None
    layer: str | None
    pooling: config.Pooling | None
    batch_size: int | None
    seed: int
    output: Required[StrPath]
    format: config.FeatureFormat
    force: bool


class Training(Network, total=False):
    """Keywords of :class:`tlkit.config.TrainingOptions`."""

    recipe: config.Recipe
    val_split: float
    multi_label: bool
    label_separator: str | None
    exclude: StrPath | None
    group: str | None
    features: StrPath | None
    arch: str
    weights: StrPath
    head: config.HeadKind
    pooling: config.Pooling | None
    head_units: int | None
    dropout: float | None
    freeze: int | str | None
    unfreeze: int | None
    unfreeze_blocks: int | None
    stages: str | None
    stage_decay: float
    batchnorm: config.BatchNorm
    epochs: int
    optimizer: config.HeadOptimizer | None
    warmup_epochs: float
    weight_decay: float | None
    layer_decay: float
    clip_norm: float | None
    ema: bool
    nesterov: bool
    mixup: float | None
    cutmix: float | None
    lr: config.Rate
    schedule: config.Schedule
    finetune_epochs: int
    finetune_optimizer: config.Optimizer
    finetune_lr: config.Rate
    finetune_schedule: config.Schedule
    momentum: float
    patience: int | None
    keep: config.Keep
    class_weight: config.ClassWeight
    label_smoothing: float
    augment: config.Augment
    augment_copies: int | None
    batch_size: int
    seed: int
    cache_limit: str | None


class Distribution(TypedDict, total=False):
    """Keywords of :class:`tlkit.config.DistributeOptions`."""

    distribute: config.Distribute
    coordinator: str | None
    processes: int | None
    process_id: int | None


class Resume(Compute, Distribution, total=False):
    """Keywords of :class:`tlkit.config.ResumeOptions`."""


class Finetune(Training, Distribution, total=False):
    """Keywords of :class:`tlkit.config.FinetuneConfig`."""

    folds: int | None
    output: StrPath | None
    tensorboard: StrPath | None
    mlflow: StrPath | None


class FindLr(Training, total=False):
    """Keywords of :class:`tlkit.config.FindLrConfig`."""

    phase: config.TestedPhase | None
    plot: StrPath | None
    force: bool


class Evaluate(Compute, total=False):
    """Keywords of :class:`tlkit.config.EvaluateConfig`."""

    tta: bool
    foreign: StrPath | None
    split: config.Split | None
    report: StrPath | None
    force: bool
    batch_size: int | None
    engine: config.Engine
    precision: config.Precision


class Export(Compute, total=False):
    """Keywords of :class:`tlkit.config.ExportConfig`."""

    size: SizeLike | None
    resize: config.Resize | None
    preprocess: config.Preprocess | None
    labels: StrPath | None
    check: StrPath | None
    calibrate: StrPath | None
    format: config.ExportFormat | None
    precision: config.ExportPrecision
    max_loss: str | float
    resize_inside: bool
    layout: config.ExportLayout | None
    force: bool


class Probe(Compute, total=False):
    """Keywords of :class:`tlkit.config.ProbeOptions`."""

    val_split: float
    exclude: StrPath | None
    group: str | None
    batch_size: int | None
    seed: int
    report: StrPath | None
    force: bool
    engine: config.Engine
    precision: config.Precision


class Check(Probe, Workers, total=False):
    """Keywords of :class:`tlkit.config.CheckConfig`."""

    arch: str
    weights: StrPath
    size: SizeLike | None
    resize: config.Resize | None
    strict: bool
    write_list: StrPath | None


class Compare(Probe, total=False):
    """Keywords of :class:`tlkit.config.CompareConfig`."""

    archs: str | None
    layer: str | None
    size: int | str | None
    folds: int
    repeats: int


class Inspect(Load, Width, total=False):
    """Keywords of :class:`tlkit.config.InspectConfig`."""

    arch: str | None
    classes: int | None
    stats: bool


class Convert(Load, Width, total=False):
    """Keywords of :class:`tlkit.config.ConvertConfig`."""

    arch: Required[str]
    classes: int | None
    force: bool


def _limited(checked: Job) -> Job:
    """Set what computes a job, before it imports what starts threads of its own."""
    use(checked.threads, checked.backend, checked.device)
    return checked


def _documented(group: type[Options]) -> Callable[[Function], Function]:
    """Add the options' values and help to a docstring, for ``help(tlkit.predict)``."""

    def add(function: Function) -> Function:
        own, lines = inspect.signature(function).parameters, []
        for item in options_of(group):
            if not item.argument and item.name not in own:
                default = item.unset if item.default is None else item.default
                shown = "" if item.unset is None and not isinstance(item.default, str | int | float) else default
                values = f"``{item.expected}``" if ":" in item.expected else item.expected  # Sphinx ends it at a colon
                text = f"{item.name} ({values}): {item.help}{f' Default: {shown}.' if shown != '' else ''}"
                lines.append("        " + _FLAG.sub(lambda flag: f"``{flag[1].replace('-', '_')}``", text))
        function.__doc__ = f"{function.__doc__}\n    Keyword Args:\n" + "\n".join(lines)
        return function

    return add


_FLAG = re.compile(r"(?<![\w`-])--([a-z][a-z-]*)")


@overload
def predict(images: Images, *, part: None = None, **options: Unpack[Predict]) -> Predictions: ...
@overload
def predict(images: Images, *, part: str, **options: Unpack[Predict]) -> PartResult: ...
@_documented(config.PredictConfig)
def predict(images: Images, *, part: str | None = None, **options: Unpack[Predict]) -> Predictions | PartResult:
    """Classify images or recordings: files, directories (searched recursively) and URLs (http, s3, …).

    Args:
        images: One path or URL, or several.
        part: ``K/N`` computes one of N shares of the images, and ``merge=True`` makes the result from all.
        options: See below.

    Returns:
        A sequence with one prediction per input, in input order; those that failed have an ``error``.

    Raises:
        TlkitError: Invalid options, missing weights, an unreadable run.
    """
    checked = _limited(config.PredictConfig.of({"images": images, "part": part, **options}))
    from tlkit.commands.predict import predict as run

    return run(checked)


@_documented(config.ServeConfig)
def serve(model: StrPath, **options: Unpack[Serve]) -> None:
    """Serve a classifier over HTTP: a page to drop images on, and JSON for programs. Blocks until Ctrl-C or SIGTERM.

    Args:
        model: A run of :func:`finetune`, or a model file.
        options: See below.

    Raises:
        TlkitError: A package is missing, the address is in use, or the run or model cannot be read.
        KeyboardInterrupt: Ctrl-C ended it; requests that had begun are answered.
    """
    checked = _limited(config.ServeConfig.of({"model": model, **options}))
    from tlkit.commands.serve import serve as run

    run(checked)


@overload
def extract(images: Images, *, part: None = None, **options: Unpack[Extract]) -> ExtractResult: ...
@overload
def extract(images: Images, *, part: str, **options: Unpack[Extract]) -> PartResult: ...
@_documented(config.ExtractConfig)
def extract(images: Images, *, part: str | None = None, **options: Unpack[Extract]) -> ExtractResult | PartResult:
    """Extract the activations of one layer for images and save them as features.

    Args:
        images: One path or URL, or several.
        part: ``K/N`` computes one of N shares of the images, and ``merge=True`` makes the result from all.
        options: See below; ``output`` is required.

    Raises:
        TlkitError: Invalid options, missing weights, no readable image, a file that cannot be written.
    """
    checked = _limited(config.ExtractConfig.of({"images": images, "part": part, **options}))
    from tlkit.commands.extract import extract as run

    return run(checked)


@overload
def bottleneck(data: StrPath, *, part: None = None, **options: Unpack[BottleneckOptions]) -> BottleneckResult: ...
@overload
def bottleneck(data: StrPath, *, part: str, **options: Unpack[BottleneckOptions]) -> PartResult: ...
@_documented(config.BottleneckConfig)
def bottleneck(
    data: StrPath, *, part: str | None = None, **options: Unpack[BottleneckOptions]
) -> BottleneckResult | PartResult:
    """Compute bottleneck features (the frozen base's output) for every image of a data folder.

    Args:
        data: A directory with one folder per class, or with ``train`` and ``validation`` folders of them.
        part: ``K/N`` computes one of N shares of the images, and ``merge=True`` makes the result from all.
        options: See below; ``output`` is required.

    Raises:
        TlkitError: Invalid options or data, missing weights, a directory that cannot be written to.
    """
    checked = _limited(config.BottleneckConfig.of({"data": data, "part": part, **options}))
    from tlkit.commands.bottleneck import bottleneck as run

    return run(checked)


@_documented(config.FinetuneConfig)
def finetune(data: StrPath, **options: Unpack[Finetune]) -> FinetuneResult:
    """Train a classifier: first a new head on the frozen base, then the top of the base and the head.

    Args:
        data: A directory with one folder per class, or with ``train`` and ``validation`` folders of them.
        options: See below.

    Returns:
        The result. Of several processes that train together (``coordinator``), only process 0 has one: the others
        return None.

    Raises:
        TlkitError: Invalid options or data, missing weights, a training that diverged.
    """
    checked = _limited(config.FinetuneConfig.of({"data": data, **options}))
    from tlkit.commands.finetune import finetune as run

    return cast("FinetuneResult", run(checked))  # who trains with others knows of None


@_documented(config.FindLrConfig)
def find_lr(data: StrPath, **options: Unpack[FindLr]) -> FoundRate:
    """Find a learning rate: train a few batches while it rises, and see when the loss does.

    Args:
        data: As for :func:`finetune`.
        options: See below.

    Raises:
        TlkitError: Invalid options or data, missing weights, losses that say nothing.
    """
    checked = _limited(config.FindLrConfig.of({"data": data, **options}))
    from tlkit.commands.find_lr import find_lr as run

    return run(checked)


@_documented(config.ResumeOptions)
def resume(run: StrPath, *, data: StrPath | None = None, **options: Unpack[Resume]) -> FinetuneResult:
    """Resume an interrupted run after its last completed epoch, with its saved options.

    Args:
        run: The run directory.
        data: Where the data is now, only if it has moved.
        options: See below; what is left out is as it started.

    Returns:
        As :func:`finetune`.

    Raises:
        TlkitError: No such run, it is complete or in use, or its data or weights changed.
    """
    chosen = config.ResumeOptions.of(options)
    checked = _checked("str", run=run, path=True), _checked("str", data=data, path=True, optional=True)
    from tlkit.commands.finetune import resume as resume_run

    return cast("FinetuneResult", resume_run(*checked, {name: getattr(chosen, name) for name in options}))


@_documented(config.EvaluateConfig)
def evaluate(
    run: StrPath, data: StrPath, *, run_b: StrPath | None = None, **options: Unpack[Evaluate]
) -> EvaluationResult:
    """Measure how well a run classifies labelled images.

    Args:
        run: A run directory of ``finetune``.
        data: A directory with one folder per class, or with ``test`` or ``validation`` folders of them.
        run_b: Another run with the same classes, to compare with.
        options: See below.

    Raises:
        TlkitError: No such run, classes that it does not have, no readable image.
    """
    checked = _limited(config.EvaluateConfig.of({"run": run, "run_b": run_b, "data": data, **options}))
    from tlkit.commands.evaluate import evaluate as measure

    return measure(checked)


@overload
def check(data: StrPath, *, part: None = None, **options: Unpack[Check]) -> CheckResult: ...
@overload
def check(data: StrPath, *, part: str, **options: Unpack[Check]) -> PartResult: ...
@_documented(config.CheckConfig)
def check(data: StrPath, *, part: str | None = None, **options: Unpack[Check]) -> CheckResult | PartResult:
    """Look for what spoils a training: unreadable images, copies, leaks, wrong labels, outliers.

    Args:
        data: As for :func:`finetune`.
        part: ``K/N`` computes one of N shares of the images, and ``merge=True`` makes the result from all.
        options: See below; ``strict`` is for the command line's exit code alone.

    Raises:
        TlkitError: Invalid options or data, missing weights, a file that cannot be written.
    """
    checked = _limited(config.CheckConfig.of({"data": data, "part": part, **options}))
    from tlkit.commands.check import check as run

    return run(checked)


@_documented(config.CompareConfig)
def compare(data: StrPath, **options: Unpack[Compare]) -> CompareResult:
    """Compare networks as bases for labelled images, by linear classifiers on their features.

    Args:
        data: As for :func:`finetune`.
        options: See below.

    Raises:
        TlkitError: Invalid options or data, no network that can be compared, a report that cannot be written.
    """
    checked = _limited(config.CompareConfig.of({"data": data, **options}))
    from tlkit.commands.compare import compare as run

    return run(checked)


@_documented(config.ExportConfig)
def export(source: StrPath, output: StrPath, **options: Unpack[Export]) -> ExportResult:
    """Write a classifier in a format that other programs run, and prove that it gives the same.

    Args:
        source: A run directory, or a full Keras model.
        output: What to write.
        options: See below.

    Raises:
        TlkitError: The source cannot be read, a package is missing, or what was written gives other answers.
    """
    checked = _limited(config.ExportConfig.of({"source": source, "output": output, **options}))
    from tlkit.commands.export import export as run

    return run(checked)


@_documented(config.InspectConfig)
def inspect_h5(file: StrPath, **options: Unpack[Inspect]) -> Inspection:
    """Read what is in an HDF5 weights, model or feature file, or a ``.keras`` archive.

    Args:
        file: The file.
        options: See below.

    Raises:
        TlkitError: Not such a file, or damaged.
    """
    from tlkit.commands.inspect_h5 import inspect_h5 as run

    return run(config.InspectConfig.of({"file": file, **options}))


@_documented(config.ConvertConfig)
def convert_h5(source: StrPath, output: StrPath, **options: Unpack[Convert]) -> Converted:
    """Convert a weights file of any Keras since 2015 to today's ``.weights.h5``.

    Args:
        source: The file to read.
        output: The ``.weights.h5`` file to write.
        options: See below; ``arch`` is required.

    Raises:
        TlkitError: It does not fit, or the output cannot be written.
    """
    from tlkit.commands.convert_h5 import convert_h5 as run

    return run(config.ConvertConfig.of({"source": source, "output": output, **options}))


@overload
def archs() -> Architectures: ...
@overload
def archs(name: str) -> ArchitectureInfo: ...
def archs(name: str | None = None) -> Architectures | ArchitectureInfo:
    """List the architectures, or describe one and its layers.

    Args:
        name: Of the one; None for all, without their layers.

    Raises:
        TlkitError: There is no such architecture.
    """
    from tlkit.commands.archs import describe_architecture, list_architectures

    return list_architectures() if name is None else describe_architecture(_checked("str", name=name))


def list_weights(*names: str) -> tuple[FileStatus, ...]:
    """List the published weights files of the named architectures, or of all, and where they are.

    Raises:
        TlkitError: There is no such architecture.
    """
    from tlkit.commands.weights import list_weights as run

    return tuple(run([_checked("str", name=name) for name in names]))


def pull_weights(
    *names: str,
    output: StrPath | None = None,
    top: bool | None = None,
    every: bool = False,
    alpha: float | None = None,
    size: int | None = None,
    force: bool = False,
) -> tuple[FileStatus, ...]:
    """Download the weights of architectures ahead; those that fail have a ``problem``.

    Args:
        names: The architectures.
        output: Collect the files in this directory; None for tlkit's own.
        top: Only with the ImageNet classifier (True) or without (False); None for both.
        every: All widths and input sizes.
        alpha: Width of a MobileNet.
        size: Input size that a MobileNet was trained at.
        force: Replace files in ``output`` that are not the published ones.

    Raises:
        TlkitError: There is no such architecture or file, or the options contradict each other.
    """
    from tlkit.commands.weights import VariantFilter, select_all
    from tlkit.commands.weights_transfer import pull

    if not names and not every:
        raise UsageError("No architecture is named.", hint="Name some, or use every=True.")
    chosen = VariantFilter(
        top=_checked("bool", top=top, optional=True),
        every=_checked("bool", every=every),
        alpha=_checked("float", alpha=alpha, optional=True),
        size=_checked("int", size=size, optional=True),
    )
    files = select_all([_checked("str", name=name) for name in names], chosen)
    folder = _checked("str", output=output, path=True, optional=True)
    return tuple(pull(files, folder, force=_checked("bool", force=force)))


def verify_weights(*names: StrPath) -> tuple[FileStatus, ...]:
    """Verify the weights files on this machine by digest and layers; those that are bad have a ``problem``.

    Args:
        names: Architectures, files or directories; none for all that are on this machine.

    Raises:
        TlkitError: There is no such architecture or file.
    """
    from tlkit.commands.weights import verify

    return tuple(verify([_checked("str", name=name, path=True) for name in names]))


def doctor() -> Diagnosis:
    """Report what this machine has, and run a small network in each engine that is installed.

    Each runs in a process of its own, so that one that crashes or hangs is a result too.

    Returns:
        Machine, packages, engines, cache, weights and settings, without passwords; ``problems`` is what is broken, each
        with the next step.
    """
    from tlkit.commands.doctor import doctor as run

    return run()


def _checked(kind: str, *, path: bool = False, optional: bool = False, **value: Any) -> Any:
    """Return the value of the one remaining keyword, checked as an option of that name is."""
    ((name, given),) = value.items()
    return Option(name=name, kind=kind, help="", default=None, path=path, optional=optional).check(given)
