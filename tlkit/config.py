"""The options of each job: one frozen dataclass a job, checked where it is built.

Types, defaults, ranges and help are stated here once. The command line is generated from these fields, YAML files and
the Python API are checked by them, and every wrong value raises the same :class:`~tlkit.errors.ConfigError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import PurePath
from typing import Any, Literal, Self, get_args

from tlkit.config_file import read_options
from tlkit.errors import ConfigError, UsageError
from tlkit.utils.compute import Backend
from tlkit.utils.options import Option, Options, Size, option, options_of
from tlkit.utils.text import pluralize, without_password

DEFAULT_ARCHITECTURE = "efficientnetlite0"
"""The default base: its weights come with tlkit."""

DEFAULT_VAL_SPLIT = 0.2
AUTO = "auto"

Augment = Literal["none", "light", "recipe2017", "randaugment"]
BatchNorm = Literal["frozen", "train"]
ClassWeight = Literal["none", "auto"]
DataFormat = Literal["channels_last", "channels_first"]
Distribute = Literal["auto", "none"]
Engine = Literal["auto", "keras", "openvino"]
ExportFormat = Literal["onnx", "openvino", "litert", "saved_model", "keras"]
ExportLayout = Literal["triton"]
BY_TENSORFLOW = ("saved_model", "litert")
"""Formats that TensorFlow writes."""
ExportPrecision = Literal["float32", "float16", "int8"]
FeatureFormat = Literal["npy", "hdf5", "parquet"]
HeadKind = Literal["dense", "linear", "flatten"]
Layout = Literal["tf", "th"]
Optimizer = Literal["sgd", "rmsprop", "adam", "adamw"]
HeadOptimizer = Literal["lbfgs", "sgd", "rmsprop", "adam", "adamw"]
Pooling = Literal["avg", "max", "none"]
Precision = Literal["float32", "bfloat16"]
Preprocess = Literal["caffe", "tf", "torch", "lite", "unit", "none"]
Rate = float | Literal["auto"]
"""A learning rate, or a range test finds one."""
Recipe = Literal["classic", "fast", "strong", "2017", "2016"]
Resize = Literal["squash", "crop"]
Schedule = Literal["constant", "linear", "cosine"]
"""Learning-rate schedules: constant, linear or half-cosine decay to 0."""
Keep = Literal["best", "last"]
Split = Literal["test", "validation", "train"]
TestedPhase = Literal["head", "finetune"]

RECIPE, DATA, NETWORK, HEAD, FREEZING = "Recipe", "Data", "Network", "Head", "Freezing"
FREEZE_OPTIONS = ("freeze", "unfreeze", "unfreeze_blocks", "stages")
"""Options of finetune that exclude each other."""

PHASE_1, PHASE_2, BOTH_PHASES = "Phase 1 (head)", "Phase 2 (fine-tuning)", "Both phases"
AUGMENTATION, EXECUTION, SERVER, OUTPUT = "Augmentation", "Execution", "Server", "Output"
GROUPS = (RECIPE, DATA, NETWORK, HEAD, FREEZING, PHASE_1, PHASE_2, BOTH_PHASES, AUGMENTATION, EXECUTION, SERVER, OUTPUT)
"""The headings of ``--help``, in order."""

MAX_BATCH, MAX_SEED = 4096, 2**32 - 1
MOST_THREADS = 1024
MOST_PROCESSES = 64


def _classes() -> Any:
    return option(
        None, group=NETWORK, at_least=1, at_most=1_000_000, metavar="N", unset="as published",
        help="Number of classes of the network's own classifier, with --weights none or your own file.",
    )  # fmt: skip


def _data_format() -> Any:
    return option(
        None, group=NETWORK, unset="keras.json's, else channels_last",
        help="Order of axes that the network is built and run in.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LoadOptions(Options):
    """How to load a weights file, where the file leaves that open."""

    by_name: bool = option(False, group=NETWORK, help="Match layers of the weights file by name instead of by order.")
    skip_mismatch: bool = option(False, group=NETWORK, help="Skip layers that do not fit, and list them.")
    layout: Layout | None = option(
        None, group=NETWORK, unset="as the file states",
        help="Data layout the weights file was trained with: channels last (tf) or first (th).",
    )  # fmt: skip
    flip_kernels: bool | None = option(
        None, group=NETWORK, unset="as the file states",
        help="Rotate convolution kernels by 180° (weights trained with Theano).",
    )  # fmt: skip

    @property
    def load(self) -> LoadOptions:
        """These options alone, of a job that has others too."""
        return LoadOptions(**_shared(self, LoadOptions))


@dataclass(frozen=True, kw_only=True)
class WidthOptions(Options):
    """Width of a MobileNet."""

    alpha: float | None = option(
        None, group=NETWORK, above=0, at_most=10, metavar="A", unset="1",
        help="Width of a MobileNet V1, V2 or V3: multiplies its numbers of filters.",
    )  # fmt: skip
    depth_multiplier: int | None = option(
        None, group=NETWORK, at_least=1, at_most=64, metavar="N", unset="1",
        help="Depthwise filters per channel of a MobileNet V1.",
    )  # fmt: skip

    @property
    def build(self) -> BuildOptions:
        """The arguments of the architecture's constructor, of a job that has other options too."""
        return BuildOptions(**_shared(self, BuildOptions))


@dataclass(frozen=True, kw_only=True)
class BuildOptions(WidthOptions):
    """Arguments of the constructors of ``keras.applications``; None is the default."""

    classes: int | None = _classes()
    data_format: DataFormat | None = _data_format()


def _shared(config: Options, group: type[Options]) -> dict[str, Any]:
    return {item.name: getattr(config, item.name) for item in options_of(group) if hasattr(config, item.name)}


@dataclass(frozen=True, kw_only=True)
class ComputeOptions(Options):
    """What computes."""

    threads: int | None = option(
        None, group=EXECUTION, at_least=1, at_most=MOST_THREADS, metavar="N", unset="one per usable processor",
        help="Threads that decode, and that run the network.",
    )  # fmt: skip
    backend: Backend | None = option(
        None, group=EXECUTION, unset="KERAS_BACKEND's or keras.json's, else tensorflow",
        help="Backend of Keras. jax is for GPUs: on processors it is several times slower than tensorflow.",
    )  # fmt: skip
    device: str = option(
        "auto", group=EXECUTION, metavar="auto|cpu|gpu[:N]", pattern=r"auto|cpu|gpu(:\d{1,3})?",
        values="auto, cpu, gpu or gpu:N",
        help="Where the network runs. auto: on a GPU if the backend can use one. gpu:1 is the second GPU.",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class EngineOptions(ComputeOptions):
    """What computes, and how exactly."""

    engine: Engine = option(
        "auto", group=EXECUTION,
        help="Inference engine. auto: OpenVINO if installed, no GPU is used and it can run the network; else Keras.",
    )  # fmt: skip
    precision: Precision = option(
        "float32", group=EXECUTION, help="Compute type of the network; bfloat16 is faster and less exact."
    )


@dataclass(frozen=True, kw_only=True)
class DistributeOptions(Options):
    """Which devices, and processes, train together."""

    distribute: Distribute = option(
        "none", group=EXECUTION, help="auto: train on all GPUs of this machine; in Slurm, in all tasks of a step."
    )
    coordinator: str | None = option(
        None, group=EXECUTION, metavar="HOST:PORT", pattern=r"[^\s]+:\d{1,5}", values="HOST:PORT",
        help="Train with other processes, on JAX: where process 0 waits for them.",
    )  # fmt: skip
    processes: int | None = option(
        None, group=EXECUTION, at_least=1, at_most=MOST_PROCESSES, metavar="N",
        help="Number of processes that train together.",
    )  # fmt: skip
    process_id: int | None = option(
        None, group=EXECUTION, at_least=0, below=MOST_PROCESSES, metavar="K", unset="Slurm's or Kubernetes'",
        help="Number of this process, from 0; process 0 writes the run.",
    )  # fmt: skip


_ALONE = {item.name: item.default for item in options_of(DistributeOptions)}


@dataclass(frozen=True, kw_only=True)
class ResumeOptions(ComputeOptions, DistributeOptions):
    """What may be otherwise when a run is resumed."""


@dataclass(frozen=True, kw_only=True)
class WorkersOptions(EngineOptions):
    """Which machines compute: this one, Ray's, or whichever run the same command for a part each."""

    ray: str | None = option(
        None, group=EXECUTION, metavar="local|ADDRESS", unset="this process computes",
        help="Compute in workers of Ray: of this machine (local), or of a cluster at host:port, which sees the same "
        "storage. --threads is for each worker, 1 unless given.",
    )  # fmt: skip
    workers: int | None = option(
        None, group=EXECUTION, at_least=1, at_most=10_000, metavar="N", unset="as many as there are processors for",
        help="Number of workers of --ray.",
    )  # fmt: skip
    part: str | None = option(
        None, group=EXECUTION, metavar="K/N", unset="all images", pattern=r"\d{1,6}/\d{1,6}",
        values="K/N with K from 1 to N, such as 3/8",
        help="Compute the K-th of N shares of the images alone, on one of N machines that see the same storage.",
    )  # fmt: skip
    merge: bool = option(
        False, group=EXECUTION, help="Make the result from all parts that --part K/N computed; nothing is computed."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers is not None and self.ray is None:
            raise UsageError("--workers is the number of workers of Ray.", hint="Add --ray local, or leave it out.")
        if sum((self.ray is not None, self.part is not None, self.merge)) > 1:
            raise UsageError("--ray, --part and --merge exclude each other.", hint="Use one of them.")
        _ = self.share

    @property
    def share(self) -> tuple[int, int]:
        """Which share of the images to compute, and of how many."""
        number, _, count = (self.part or "1/1").partition("/")
        if not 1 <= int(number) <= int(count):
            raise UsageError(f"--part {self.part}: there are parts 1 to {int(count)} of {int(count)}.")
        return int(number), int(count)


def _images() -> Any:
    return option(
        argument=True,
        path=True,
        metavar="IMAGES...",
        help="Files, directories, URLs (http, s3, …) and Parquet lists of them.",
    )


def _data() -> Any:
    return option(
        argument=True, path=True, metavar="DATA", help="A directory with one folder per class, or a table of images."
    )


def _arch(default: str | None = DEFAULT_ARCHITECTURE) -> Any:
    return option(default, group=NETWORK, metavar="NAME", unset=DEFAULT_ARCHITECTURE, help="The network.")


def _weights(default: str | None = "imagenet") -> Any:
    return option(
        default, group=NETWORK, path=True, values="imagenet, none or a path", metavar="imagenet|none|PATH",
        unset="imagenet, or the run's",
        help="Published ImageNet weights, random ones, or a weights file.",
    )  # fmt: skip


def _size() -> Any:
    return option(None, group=NETWORK, metavar="N|HxW", unset="the architecture's", help="Input size in pixels.")


def _resize(unset: str = "squash") -> Any:
    return option(
        None, group=NETWORK, unset=unset,
        help="squash: the whole image, without keeping its proportions. crop: the middle 87.5%.",
    )  # fmt: skip


def _layer() -> Any:
    return option(None, group=NETWORK, metavar="NAME", unset="the last of the base", help="Layer to extract.")


def _pooling() -> Any:
    return option(
        None, group=NETWORK, unset="avg",
        help="Pooling of feature maps over height and width; none writes the maps.",
    )  # fmt: skip


def _batch_size(default: int | None = 32) -> Any:
    return option(
        default, group=EXECUTION, at_least=1, at_most=MAX_BATCH, metavar="N",
        unset="8 with OpenVINO; 16 with Keras, 128 on a GPU",
        help="Files per batch.",
    )  # fmt: skip


_DRAWS = "random weights (--weights none, and what --skip-mismatch leaves out)"


def _seed(draws: str | None = None) -> Any:
    text = f"Random seed of {draws}." if draws else "Random seed."
    return option(0, group=EXECUTION, at_least=0, at_most=MAX_SEED, metavar="N", help=text)


def _unused_seed(weights: str | None, *, skip_mismatch: bool) -> dict[str, str]:
    """Return ``seed`` with the reason why it has no effect, where no weights are random."""
    return {} if weights == "none" or skip_mismatch else {"seed": f"it draws {_DRAWS}"}


@dataclass(frozen=True, kw_only=True)
class DataOptions(Options):
    """Labelled images, and how they are split."""

    data: str = _data()
    val_split: float = option(
        DEFAULT_VAL_SPLIT, group=DATA, above=0, below=1, metavar="SHARE",
        help="Share of each class held out to measure accuracy on, where DATA has no validation folder.",
    )  # fmt: skip
    exclude: str | None = option(
        None, group=DATA, path=True, metavar="FILE",
        help="List of files to leave out, one path below DATA a line, as `tlkit check --write-list` writes it.",
    )  # fmt: skip
    group: str | None = option(
        None, group=DATA, metavar="COLUMN",
        help="Column of a table DATA that tells which images belong together (a patient, a plant, a camera): they stay "
        "on one side of every split and fold.",
    )  # fmt: skip

    @property
    def scanning(self) -> dict[str, Any]:
        """How DATA is read: arguments of :func:`tlkit.data.dataset.scan_dataset`, beside seed and modality."""
        return {"val_split": self.val_split, "exclude": self.exclude, "group": self.group}


def _allow_private() -> Any:
    return option(False, group=DATA, help="Also fetch URLs of hosts in this network (127.0.0.1, 10.…).")


def _tta() -> Any:
    return option(
        False, group=EXECUTION,
        help="Test-time augmentation: average the probabilities of each image, its middle, and both mirrored.",
    )  # fmt: skip


def _preprocess() -> Any:
    return option(
        None, group=NETWORK, unset="the model's own, if it has one",
        help="Preprocessing of a model FILE. caffe: BGR minus mean. tf: -1 to 1. torch: mean and standard deviation. "
        "lite: (x-127)/128. unit: 0 to 1. none: 0 to 255, or scaled inside the model.",
    )  # fmt: skip


def _labels() -> Any:
    return option(
        None, group=NETWORK, path=True, metavar="FILE",
        help="Class names in the order of the network's outputs, one per line, as 'NUMBER NAME' lines, JSON or CSV.",
    )  # fmt: skip


def _uncalibrated() -> Any:
    return option(False, group=OUTPUT, help="Probabilities of a RUN as its network gives them, before calibration.")


def _force(what: str) -> Any:
    return option(False, group=OUTPUT, help=f"Overwrite {what}.")


@dataclass(frozen=True, kw_only=True)
class PredictConfig(BuildOptions, LoadOptions, WorkersOptions):
    """Options of `tlkit predict`."""

    images: tuple[str, ...] = _images()
    arch: str | None = _arch(None)
    model: str | None = option(
        None, group=NETWORK, path=True, metavar="RUN|FILE",
        help="Instead: a run of `tlkit finetune`, a full Keras model (.h5, .keras), or what `tlkit export` wrote.",
    )  # fmt: skip
    weights: str | None = _weights(None)
    size: Size | None = _size()
    resize: Resize | None = _resize("squash, or the run's")
    preprocess: Preprocess | None = _preprocess()
    labels: str | None = _labels()
    allow_private: bool = _allow_private()
    batch_size: int | None = _batch_size(None)
    seed: int = _seed(_DRAWS)
    top: int = option(5, group=OUTPUT, at_least=1, metavar="N", help="Number of classes to list per image.")
    explain: str | None = option(
        None, group=OUTPUT, path=True, metavar="FILE|DIR",
        help="Draw where each image shows its most probable class: a file for one image, a directory for several.",
    )  # fmt: skip
    tta: bool = _tta()
    unknown: bool = option(
        False, group=OUTPUT, help="Answer unknown where an image is unlike those that a RUN was trained on."
    )
    uncalibrated: bool = _uncalibrated()
    plot: str | None = option(
        None, group=OUTPUT, path=True, metavar="FILE",
        help="Draw the first images, each beside a bar chart of its classes.",
    )  # fmt: skip
    force: bool = _force("FILE of --plot or --explain if tlkit did not draw it")

    def __post_init__(self) -> None:
        super().__post_init__()
        drawn = "--plot" if self.plot else "--explain" if self.explain else None
        if drawn and (self.ray or self.part or self.merge):
            raise UsageError(
                f"{drawn} draws images that this machine classifies.",
                hint="Leave it out, and draw the images that matter afterwards.",
            )

    def without_effect(self) -> dict[str, str]:
        """Return the options that have no effect beside the others, with the reason."""
        unused = {} if self.plot or self.explain else {"force": "there is no --plot or --explain to write"}
        unused |= {} if self.model else {"uncalibrated": "only a run of `tlkit finetune` has a temperature"}
        return unused | _unused_seed(self.weights, skip_mismatch=self.skip_mismatch)


@dataclass(frozen=True, kw_only=True)
class ServeConfig(LoadOptions, EngineOptions):
    """Options of `tlkit serve`."""

    model: str = option(
        argument=True, path=True, metavar="RUN_OR_FILE",
        help="A run of `tlkit finetune`, or what else `tlkit predict --model` takes.",
    )  # fmt: skip
    host: str = option(
        "127.0.0.1", group=SERVER, metavar="ADDRESS",
        help="Address to listen on; 0.0.0.0 lets other machines ask, and knows no passwords.",
    )  # fmt: skip
    port: int = option(8000, group=SERVER, at_least=0, at_most=65535, metavar="N", help="Port; 0 is one that is free.")
    allow_urls: bool = option(
        False, group=SERVER, help="Also fetch images by URL, never from hosts in this network (127.0.0.1, 10.…)."
    )
    cors_origin: str | None = option(
        None, group=SERVER, metavar="URL,...", unset="the server's own page alone",
        help="Other origins whose pages may ask: https://example.org.",
    )  # fmt: skip
    max_body: int = option(
        50, group=SERVER, at_least=1, at_most=2000, metavar="MB", help="Largest body of a request, in MB."
    )
    max_images: int = option(64, group=SERVER, at_least=1, at_most=4096, metavar="N", help="Most images in a request.")
    queue: int = option(
        256, group=SERVER, at_least=1, at_most=65536, metavar="N",
        help="Most images that wait or are computed; with more, requests are refused for a second (503).",
    )  # fmt: skip
    size: Size | None = option(None, group=NETWORK, metavar="N|HxW", unset="the model's", help="Input size in pixels.")
    resize: Resize | None = _resize("squash, or the run's")
    preprocess: Preprocess | None = _preprocess()
    labels: str | None = _labels()
    top: int = option(5, group=OUTPUT, at_least=1, metavar="N", help="Number of classes to list per image.")
    uncalibrated: bool = _uncalibrated()

    def __post_init__(self) -> None:
        super().__post_init__()
        for origin in self.origins:
            if not re.fullmatch(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", origin):
                raise ConfigError(
                    f"cors_origin is {origin!r}; expected a URL without a path, such as https://example.org."
                )

    @property
    def origins(self) -> tuple[str, ...]:
        """Other origins whose pages may ask, as browsers write them."""
        words = (word.strip().rstrip("/").lower() for word in (self.cors_origin or "").split(","))
        return tuple(word for word in words if word)


@dataclass(frozen=True, kw_only=True)
class ExtractConfig(BuildOptions, LoadOptions, WorkersOptions):
    """Options of `tlkit extract`."""

    images: tuple[str, ...] = _images()
    arch: str | None = _arch(None)
    model: str | None = option(
        None, group=NETWORK, path=True, metavar="RUN", help="Instead: the network of a run of `tlkit finetune`."
    )
    weights: str | None = _weights(None)
    layer: str | None = _layer()
    pooling: Pooling | None = _pooling()
    size: Size | None = _size()
    resize: Resize | None = _resize("squash, or the run's")
    allow_private: bool = _allow_private()
    batch_size: int | None = _batch_size(None)
    seed: int = _seed(_DRAWS)
    output: str = option(
        group=OUTPUT,
        short="-o",
        path=True,
        metavar="FILE",
        help="File to write: .npy, .h5, .parquet or .csv. Required.",
    )
    force: bool = _force("FILE if it holds other features")

    def without_effect(self) -> dict[str, str]:
        """Return the options that have no effect beside the others, with the reason."""
        return _unused_seed(self.weights, skip_mismatch=self.skip_mismatch)


@dataclass(frozen=True, kw_only=True)
class BottleneckConfig(BuildOptions, LoadOptions, WorkersOptions, DataOptions):
    """Options of `tlkit bottleneck`."""

    arch: str = _arch()
    weights: str = _weights()
    layer: str | None = _layer()
    pooling: Pooling | None = _pooling()
    size: Size | None = _size()
    resize: Resize | None = _resize()
    batch_size: int | None = _batch_size(None)
    seed: int = _seed(f"what --val-split holds out, and of {_DRAWS}")
    output: str = option(group=OUTPUT, short="-o", path=True, metavar="DIR", help="Directory to write to. Required.")
    format: FeatureFormat = option("npy", group=OUTPUT, help="File format of the features.")
    force: bool = _force("other features in DIR")


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(WidthOptions, LoadOptions, EngineOptions, DataOptions):
    """How a classifier is trained: what finetune and find-lr have in common."""

    recipe: Recipe = option(
        "classic", group=RECIPE,
        help="Options to start from; any other option wins. classic: a new head, then the top of the base at a low "
        "rate. fast: a linear head alone, in seconds. strong: the best accuracy for the time. 2017, 2016: as published "
        "(InceptionV3, VGG16, unless --arch is given).",
    )  # fmt: skip

    multi_label: bool = option(
        False, group=DATA,
        help="Images may have several labels: rows of a table such as a.jpg,cat|dog, or lists. Each label has "
        "a probability and a threshold of its own.",
    )  # fmt: skip
    label_separator: str | None = option(
        None, group=DATA, metavar="TEXT", unset="found in the table: | ; , or a space",
        help="What stands between the labels of an image, with --multi-label.",
    )  # fmt: skip
    features: str | None = option(
        None, group=DATA, path=True, metavar="DIR", unset="computed, and cached",
        help="Features of DATA that `tlkit bottleneck DATA -o DIR` wrote.",
    )  # fmt: skip

    arch: str = option(DEFAULT_ARCHITECTURE, group=NETWORK, metavar="NAME", help="The base network.")
    weights: str = _weights()
    size: Size | None = _size()
    resize: Resize | None = _resize()
    data_format: DataFormat | None = _data_format()

    head: HeadKind = option(
        "dense", group=HEAD,
        help="The new classifier on top of the base. dense: average pooling, Dense 1024, softmax. linear: average "
        "pooling, softmax. flatten: Flatten, Dense 256, Dropout 0.5, softmax.",
    )  # fmt: skip
    pooling: Pooling | None = option(None, group=HEAD, unset="the head's", help="Pooling before the head.")
    head_units: int | None = option(
        None, group=HEAD, at_least=1, at_most=65_536, metavar="N", unset="the head's",
        help="Units of the head's hidden layer.",
    )  # fmt: skip
    dropout: float | None = option(
        None, group=HEAD, at_least=0, below=1, metavar="RATE", unset="the head's",
        help="Dropout before the head's last layer; MobileNet's own classifier has 0.001.",
    )  # fmt: skip

    freeze: str | None = option(
        None, group=FREEZING, number=True, values="a number of layers, a layer or auto", metavar="N|LAYER|auto",
        unset="the architecture's",
        help="Freeze the first N layers of the base in phase 2, or all up to and including LAYER "
        "(`tlkit archs NAME` lists them, and the default). auto: train as much of it as these images allow in "
        "reasonable time.",
    )  # fmt: skip
    unfreeze: int | None = option(
        None, group=FREEZING, at_least=0, metavar="N", help="Instead: train the last N layers of the base."
    )
    unfreeze_blocks: int | None = option(
        None, group=FREEZING, at_least=0, metavar="N", help="Instead: train the last N blocks of the base."
    )
    stages: str | None = option(
        None, group=FREEZING, metavar="LAYER,LAYER,...",
        help="Instead: fine-tune in stages, each frozen up to the next of these layers, deeper each time "
        "(mixed9,mixed8,mixed7), for --finetune-epochs each.",
    )  # fmt: skip
    stage_decay: float = option(
        0.5, group=FREEZING, above=0, at_most=1, metavar="X",
        help="Factor of the learning rate from stage to stage.",
    )  # fmt: skip
    batchnorm: BatchNorm = option(
        "frozen", group=FREEZING,
        help="BatchNorm in unfrozen layers. frozen: inference mode, ImageNet statistics. train: update statistics "
        "(also enables Dropout in those layers).",
    )  # fmt: skip

    epochs: int = option(
        10, group=PHASE_1, at_least=0, metavar="N",
        help="Epochs of phase 1, passes over the training images; 0 skips it.",
    )  # fmt: skip
    optimizer: HeadOptimizer | None = option(
        None, group=PHASE_1, unset="lbfgs for --head linear, else rmsprop",
        help="Optimizer of phase 1. lbfgs: logistic regression, its L2 penalty chosen by cross-validation; a linear "
        "head in less than a second, without --epochs and --lr.",
    )  # fmt: skip
    lr: Rate = option(
        1e-3, group=PHASE_1, above=0, metavar="RATE|auto",
        help="Learning rate of phase 1; auto: from a range test, as `tlkit find-lr` shows it.",
    )  # fmt: skip
    schedule: Schedule = option(
        "constant", group=PHASE_1, help="Learning-rate schedule of phase 1; linear and cosine decay to 0."
    )

    finetune_epochs: int = option(
        5, group=PHASE_2, at_least=0, metavar="N", help="Epochs of phase 2, or of each stage; 0 skips it."
    )
    finetune_optimizer: Optimizer = option("sgd", group=PHASE_2, help="Optimizer of phase 2.")
    finetune_lr: Rate = option(
        1e-4, group=PHASE_2, above=0, metavar="RATE|auto",
        help="Learning rate of phase 2; auto: from a range test at its start, or at that of each stage.",
    )  # fmt: skip
    finetune_schedule: Schedule = option(
        "constant", group=PHASE_2, help="Learning-rate schedule of phase 2; linear and cosine decay to 0."
    )

    warmup_epochs: float = option(
        0.0, group=PHASE_2, at_least=0, metavar="N",
        help="Raise the learning rate from 0 over the first N epochs of phase 2, or of each stage.",
    )  # fmt: skip
    weight_decay: float | None = option(
        None, group=PHASE_2, at_least=0, metavar="X", unset="none; 0.004 of adamw",
        help="Decoupled weight decay in phase 2, not of biases and BatchNorm.",
    )  # fmt: skip
    layer_decay: float = option(
        1.0, group=PHASE_2, above=0, at_most=1, metavar="X",
        help="Layer-wise learning-rate decay in phase 2: the topmost block trains at X times the rate of the head, the "
        "one below at X times that, and so on.",
    )  # fmt: skip
    clip_norm: float | None = option(
        None, group=PHASE_2, above=0, metavar="X", unset="not clipped",
        help="Clip gradients in phase 2 to this global norm.",
    )  # fmt: skip
    ema: bool = option(
        False, group=PHASE_2,
        help="Validate and keep an exponential moving average of the weights in phase 2, over a tenth of its batches.",
    )  # fmt: skip

    momentum: float = option(0.9, group=BOTH_PHASES, at_least=0, below=1, metavar="X", help="Momentum of SGD.")
    nesterov: bool = option(False, group=BOTH_PHASES, help="Nesterov momentum, of SGD.")
    patience: int | None = option(
        None, group=BOTH_PHASES, at_least=1, metavar="N", unset="train all epochs",
        help="Early stopping: end a phase after N epochs without improvement and restore the best weights "
        "(validation accuracy, then loss).",
    )  # fmt: skip
    keep: Keep = option(
        "best", group=BOTH_PHASES,
        help="Weights that the run keeps. best: of the best epoch of any phase on validation (accuracy, then loss), "
        "the head alone included. last: of the last epoch.",
    )  # fmt: skip
    class_weight: ClassWeight = option(
        "none", group=BOTH_PHASES, help="auto: weight classes equally, however many images each has."
    )
    label_smoothing: float = option(
        0.0, group=BOTH_PHASES, at_least=0, below=1, metavar="SHARE",
        help="Share of each label that is spread over all classes.",
    )  # fmt: skip

    augment: Augment = option(
        "none", group=AUGMENTATION,
        help="Random changes of training images. light: flips, small shifts and zooms. recipe2017: rotation by up to "
        "30 degrees, shifts, shear and zoom of 0.2, flips. randaugment: RandAugment.",
    )  # fmt: skip
    augment_copies: int | None = option(
        None, group=AUGMENTATION, at_least=1, at_most=1000, metavar="K",
        unset="new random changes, computed in every epoch",
        help="Precompute features for K augmented versions of each image; each epoch samples one.",
    )  # fmt: skip

    mixup: float | None = option(
        None, group=AUGMENTATION, above=0, at_most=100, metavar="A", unset="not mixed",
        help="MixUp in phase 2: blend each image with another, by a share of Beta(A, A), and their labels alike.",
    )  # fmt: skip
    cutmix: float | None = option(
        None, group=AUGMENTATION, above=0, at_most=100, metavar="A", unset="not mixed",
        help="CutMix in phase 2: replace a box of each image by that of another. With both, each batch draws one.",
    )  # fmt: skip

    batch_size: int = _batch_size()
    seed: int = _seed()
    cache_limit: str | None = option(
        None, group=EXECUTION, metavar="SIZE", unset="half of the free disk, at most TLKIT_CACHE_LIMIT",
        help="Disk space for cached outputs of the frozen part (500MB, 20GB); without enough, it is recomputed in "
        "every epoch.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.epochs and not self.finetune_epochs:
            raise UsageError("--epochs and --finetune-epochs are both 0: there is nothing to train.")
        if self.augment_copies is not None and self.augment == "none":
            raise UsageError(
                "--augment-copies is the number of augmented versions, but --augment is none.",
                hint="Add --augment light, recipe2017 or randaugment.",
            )
        if self.augment != "none" and self.features is not None:
            raise UsageError(
                "--features holds features of unchanged images, which --augment changes.",
                hint="Leave one of them out; --augment-copies caches features of augmented images.",
            )
        if (self.mixup or self.cutmix) and (self.augment == "none" or self.augment_copies is not None):
            raise UsageError(
                f"{'--mixup' if self.mixup else '--cutmix'} mixes images that are augmented in every epoch.",
                hint="Add --augment light, recipe2017 or randaugment, without --augment-copies.",
            )
        if self.multi_label and self.class_weight != "none":
            raise UsageError(
                "--class-weight weights images by their class, and with --multi-label an image has several.",
                hint="Leave it out: each label has a threshold of its own.",
            )
        if self.finetune_epochs and self.warmup_epochs >= self.finetune_epochs:
            raise UsageError(
                f"--warmup-epochs {self.warmup_epochs:g} leaves nothing of phase 2, which has "
                f"{pluralize(self.finetune_epochs, 'epoch')}.",
                hint="Use fewer, or more --finetune-epochs.",
            )
        if self.optimizer == "lbfgs" and (reason := self._why_not_lbfgs()):
            raise UsageError(f"--optimizer lbfgs {reason[0]}.", hint=reason[1])
        if self.stages is not None and (self.freeze, self.unfreeze, self.unfreeze_blocks) != (None, None, None):
            raise UsageError(
                "--stages has freeze points of its own.", hint="Leave out --freeze, --unfreeze and --unfreeze-blocks."
            )

    @property
    def scanning(self) -> dict[str, Any]:
        """How DATA is read."""
        several = {"multi_label": self.multi_label, "separator": self.label_separator if self.multi_label else None}
        return super().scanning | several

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Build from a recipe, and names and values that win over it; warn of options that have no effect."""
        recipe = str(values.get("recipe", "classic"))  # a year may come as a number
        if recipe in get_args(Recipe):
            values = {**cls.recipe_values(recipe, values), **values, "recipe": recipe}
        return super().of(values)

    @classmethod
    def recipe_values(cls, recipe: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of a recipe, without those that contradict ``values``."""
        items = {item.flag[2:]: item for item in options_of(cls)}
        with resources.as_file(resources.files("tlkit") / "recipes" / f"{recipe}.yaml") as path:
            texts = read_options(path, items)
        found = {items[name].name: items[name].check(items[name].parse(text)) for name, text in texts.items()}
        if any(values.get(name) is not None for name in FREEZE_OPTIONS):
            found = {name: value for name, value in found.items() if name not in FREEZE_OPTIONS}
        return found

    def given(self) -> dict[str, Any]:
        """Return the options that differ from those of the recipe."""
        recipe = self.recipe_values(self.recipe, {})
        values = {item.name: (getattr(self, item.name), recipe.get(item.name, item.default))
                  for item in options_of(type(self))}  # fmt: skip
        return {name: value for name, (value, default) in values.items() if value != default}

    @property
    def head_optimizer(self) -> HeadOptimizer:
        """The optimizer of phase 1: L-BFGS where it can be and none was asked for."""
        return self.optimizer or ("rmsprop" if self._why_not_lbfgs() else "lbfgs")

    def _why_not_lbfgs(self) -> tuple[str, str] | None:
        """Return why L-BFGS cannot train the head, and what to do instead; None where it can."""
        if self.head != "linear":
            return f"fits a linear head, not --head {self.head}", "Add --head linear, or use --optimizer rmsprop."
        if self.dropout:
            return "trains without Dropout", "Leave out --dropout, or use --optimizer rmsprop."
        if self.augment != "none" and self.augment_copies is None:
            return (
                "needs features that stay the same, and --augment changes the images in every epoch",
                "Add --augment-copies, or use --optimizer rmsprop.",
            )
        return None

    def without_effect(self) -> dict[str, str]:
        """Return the options that have no effect beside the others, with the reason."""
        reasons = {} if self.multi_label else {"label_separator": "without --multi-label an image has one label"}
        if not self.epochs:
            reasons |= dict.fromkeys(("optimizer", "lr", "schedule"), "--epochs 0 skips phase 1")
        elif self.head_optimizer == "lbfgs":
            fits = "L-BFGS, the optimizer of --head linear, fits the head to its optimum"
            reasons |= dict.fromkeys(("epochs", "lr", "schedule"), fits)
        if "sgd" not in (
            self.head_optimizer if self.epochs else "",
            self.finetune_optimizer if self.finetune_epochs else "",
        ):
            reasons |= dict.fromkeys(("momentum", "nesterov"), "no phase uses sgd")
        elif not self.momentum:
            reasons["nesterov"] = "--momentum is 0"
        if self.stages is None or len([stage for stage in self.stages.split(",") if stage.strip()]) < 2:
            reasons["stage_decay"] = "there are no --stages to decay over"
        elif self.finetune_lr == AUTO:
            reasons["stage_decay"] = "--finetune-lr auto finds a rate for each stage"
        if not self.finetune_epochs:
            names = (
                "freeze", "unfreeze", "unfreeze_blocks", "stages", "stage_decay", "batchnorm", "finetune_optimizer",
                "finetune_lr", "finetune_schedule", "warmup_epochs", "weight_decay", "layer_decay", "clip_norm", "ema",
                "mixup", "cutmix",
            )  # fmt: skip
            reasons |= dict.fromkeys(names, "--finetune-epochs 0 skips phase 2")
        return reasons


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(TrainingOptions, DistributeOptions):
    """Options of `tlkit finetune`."""

    folds: int | None = option(
        None, group=DATA, at_least=2, at_most=100, metavar="K", unset="one run, with a validation split",
        help="Cross-validation: deal the images into K folds, train a run on all folds but one, each in turn, and then "
        "one on all images. "
        "Every image but those of test/ is measured once, by the run that was not trained on it; one that is alone in "
        "its class is not.",
    )  # fmt: skip
    output: str | None = option(
        None, group=OUTPUT, short="-o", path=True, metavar="RUN", unset="runs/ARCH-N, the next free N",
        help="Run directory to create.",
    )  # fmt: skip
    tensorboard: str | None = option(
        None, group=OUTPUT, path=True, metavar="DIR",
        help="Write metrics of every epoch, and images at the end, for `tensorboard --logdir DIR`. Needs "
        "tlkit[tensorboard].",
    )  # fmt: skip
    mlflow: str | None = option(
        None, group=OUTPUT, path=True, metavar="[URI]", bare=AUTO, values="auto, a URI or a directory",
        help="Record a run of MLflow, with the trained model, at URI; without one, or with auto, where MLflow does by "
        "default. Needs tlkit[mlflow].",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mlflow is not None and without_password(self.mlflow) != self.mlflow:
            raise UsageError(
                "--mlflow: a password in a URI would be saved with the run.",
                hint="Set MLFLOW_TRACKING_URI to it, and use --mlflow alone.",
            )
        if self.folds is not None and self.features is not None:
            raise UsageError(
                "--features holds features of two splits, and --folds deals the images out again.",
                hint="Leave --features out: features are cached anyway.",
            )

    @property
    def reproducible(self) -> Self:
        """What decides the run: the options without those that only watch it, or say which processes train it."""
        return replace(self, tensorboard=None, mlflow=None, **_ALONE)

    def resumed(self, options: Mapping[str, Any], data: str | None = None) -> Self:
        """Return the options to resume a run with: its own, but for what is given, and the processes that are there."""
        alone = {name: value for name, value in _ALONE.items() if name != "distribute"}
        return replace(self, data=data or self.data, **(alone | dict(options)))

    @property
    def scanning(self) -> dict[str, Any]:
        """How DATA is read."""
        return super().scanning | {"pool": self.folds is not None}

    def without_effect(self) -> dict[str, str]:
        """Return the options that have no effect beside the others, with the reason."""
        folds = {} if self.folds is None else {"val_split": "--folds validates every image"}
        return super().without_effect() | folds


@dataclass(frozen=True, kw_only=True)
class FindLrConfig(TrainingOptions):
    """Options of `tlkit find-lr`."""

    phase: TestedPhase | None = option(
        None, group=OUTPUT, unset="finetune; head where --finetune-epochs is 0",
        help="Phase to find a learning rate for: of the head alone, or of the top of the base with the trained head.",
    )  # fmt: skip
    plot: str | None = option(
        None, group=OUTPUT, path=True, metavar="FILE", help="Draw the loss over the learning rate."
    )
    force: bool = _force("FILE of --plot if tlkit did not draw it")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tested == "finetune" and not self.finetune_epochs:
            raise UsageError("--phase finetune: --finetune-epochs is 0.", hint="Leave --finetune-epochs out.")
        if self.tested == "head" and not self.epochs:
            raise UsageError("--phase head: --epochs is 0.", hint="Leave --epochs out.")
        if self.tested == "head" and self.head_optimizer == "lbfgs":
            raise UsageError(
                "L-BFGS, the optimizer of --head linear, has no learning rate.",
                hint="Use --phase finetune, or --optimizer rmsprop.",
            )

    @property
    def tested(self) -> TestedPhase:
        """The phase to find a rate for."""
        return self.phase or ("finetune" if self.finetune_epochs else "head")

    def without_effect(self) -> dict[str, str]:
        """Return the options that have no effect beside the others, with the reason."""
        names = ["finetune_lr", "finetune_schedule", "warmup_epochs", "ema", "patience", "keep", "stage_decay"]
        reasons = dict.fromkeys(names, "find-lr trains a few batches, at rates of its own")
        if self.tested == "head":
            head = ("lr", "schedule", "freeze", "unfreeze", "unfreeze_blocks", "stages", "finetune_optimizer")
            reasons |= dict.fromkeys(head, "find-lr --phase head trains a few batches of phase 1")
        return super().without_effect() | reasons | ({} if self.plot else {"force": "there is no --plot to write"})


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(EngineOptions):
    """Options of `tlkit evaluate`."""

    run: str = option(argument=True, path=True, metavar="RUN", help="A run of `tlkit finetune`, or an exported file.")
    run_b: str | None = option(
        None, argument=True, path=True, metavar="RUN_B", help="Another run with the same classes, to compare with."
    )
    data: str = _data()
    foreign: str | None = option(
        None, group=DATA, path=True, metavar="DIR",
        help="Images that are of none of the classes: reports how many of them the run calls unknown.",
    )  # fmt: skip
    split: Split | None = option(
        None, group=DATA, unset="test, else validation", help="Folder of DATA to evaluate, if it has splits."
    )
    batch_size: int | None = _batch_size(None)
    tta: bool = _tta()
    report: str | None = option(
        None, group=OUTPUT, path=True, metavar="FILE", help="Also write a report page, one HTML file."
    )
    force: bool = _force("FILE of --report if it is no report of tlkit evaluate")

    def without_effect(self) -> dict[str, str]:
        """Return the options that have no effect beside the others, with the reason."""
        return {} if self.report else {"force": "there is no --report to write"}


@dataclass(frozen=True, kw_only=True)
class ProbeOptions(EngineOptions, DataOptions):
    """Labelled images and features of them: what check and compare have in common."""

    batch_size: int | None = _batch_size(None)
    seed: int = _seed("what --val-split holds out, and of the folds")
    report: str | None = option(
        None, group=OUTPUT, path=True, metavar="FILE", help="Also write a report page, one HTML file."
    )


@dataclass(frozen=True, kw_only=True)
class CheckConfig(ProbeOptions, WorkersOptions):
    """Options of `tlkit check`."""

    arch: str = _arch()
    weights: str = _weights()
    size: Size | None = _size()
    resize: Resize | None = _resize()
    strict: bool = option(False, group=OUTPUT, help="Exit with code 1 if anything is found.")
    write_list: str | None = option(
        None, group=OUTPUT, path=True, metavar="FILE",
        help="Write the files to look at, and why; `tlkit finetune --exclude FILE` leaves them out.",
    )  # fmt: skip
    force: bool = _force("FILE of --write-list, and of --report if it is no report of tlkit check")

    def without_effect(self) -> dict[str, str]:
        """Return the options that have no effect beside the others, with the reason."""
        return {} if self.report or self.write_list else {"force": "there is no file to write"}


@dataclass(frozen=True, kw_only=True)
class CompareConfig(ProbeOptions):
    """Options of `tlkit compare`."""

    archs: str | None = option(
        None, group=NETWORK, metavar="A,B,...", unset="all whose weights are here", help="The networks to compare."
    )
    layer: str | None = option(
        None, group=NETWORK, metavar="NAME,...", unset="the last of the base", help="Layers to compare features of."
    )
    size: str | None = option(
        None, group=NETWORK, number=True, metavar="N|HxW,...", unset="the architecture's",
        help="Input sizes to compare, in pixels.",
    )  # fmt: skip
    folds: int = option(
        5,
        group=EXECUTION,
        at_least=2,
        at_most=100,
        metavar="K",
        help="Parts that the images are dealt into: a classifier of all others is measured on each.",
    )
    repeats: int = option(3, group=EXECUTION, at_least=1, at_most=100, metavar="N", help="How often they are dealt.")
    force: bool = _force("FILE of --report if it is no report of tlkit compare")

    def __post_init__(self) -> None:
        super().__post_init__()
        for word in (self.size or "").split(","):
            if word.strip():
                self.checked_size(word.strip())

    @staticmethod
    def checked_size(word: str) -> Size:
        """Return one of the sizes as height and width.

        Raises:
            ConfigError: It is none.
        """
        size: Size = Option(name="size", kind="size", help="", default=None, optional=False).check(word)
        return size

    def without_effect(self) -> dict[str, str]:
        """Return the options that have no effect beside the others, with the reason."""
        return {} if self.report else {"force": "there is no --report to write"}


@dataclass(frozen=True, kw_only=True)
class ExportConfig(ComputeOptions):
    """Options of `tlkit export`."""

    source: str = option(
        argument=True, path=True, metavar="RUN|FILE", help="A run of `tlkit finetune`, or a full Keras model."
    )
    size: Size | None = option(
        None, group=NETWORK, metavar="N|HxW", unset="the model's", help="Input size of a model FILE that takes any."
    )
    resize: Resize | None = _resize("squash, or the run's")
    preprocess: Preprocess | None = option(
        None, group=NETWORK, unset="the model's own, if it has one",
        help="Preprocessing of a model FILE, as for `tlkit predict`; it becomes part of what is written.",
    )  # fmt: skip
    labels: str | None = option(
        None, group=NETWORK, path=True, metavar="FILE", help="Class names of a model FILE, in the order of its outputs."
    )
    check: str | None = option(
        None, group=DATA, path=True, metavar="DATA", unset="the run's validation images",
        help="Images to prove the result on: class folders, a table, or any folder of images.",
    )  # fmt: skip
    calibrate: str | None = option(
        None, group=DATA, path=True, metavar="DATA", unset="the run's training images",
        help="Images that tell the range of each tensor, for --precision int8.",
    )  # fmt: skip
    output: str = option(
        group=OUTPUT, short="-o", path=True, metavar="PATH",
        help="What to write: x.onnx, x.xml, x.tflite, x.keras, or a folder for saved_model. Required.",
    )  # fmt: skip
    format: ExportFormat | None = option(
        None, group=OUTPUT, unset="as PATH ends; saved_model for a folder", help="Format to write."
    )
    precision: ExportPrecision = option(
        "float32", group=OUTPUT,
        help="float16: weights of half the size. int8: weights and activations of a quarter, faster, and slightly less "
        "accurate; measured before the file is kept.",
    )  # fmt: skip
    max_loss: str = option(
        "1%", group=OUTPUT, number=True, metavar="SHARE",
        help="Accuracy that --precision may cost, in points; more is refused.",
    )  # fmt: skip
    resize_inside: bool = option(
        False, group=OUTPUT, help="Also write the resizing: the file takes images of any height and width."
    )
    layout: ExportLayout | None = option(
        None, group=OUTPUT, unset="the file alone",
        help="triton: PATH becomes a model of a Triton repository, with config.pbtxt.",
    )  # fmt: skip
    force: bool = _force("PATH if it exists")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.precision != "float32" and self.kind in ("keras", "saved_model"):
            raise UsageError(
                f"--precision {self.precision} is for onnx, openvino and litert, not {self.kind}.",
                hint="Leave --precision out, or choose another --format.",
            )
        if self.resize_inside and self.kind == "keras":
            raise UsageError("--resize-inside is not for keras.", hint="Choose another --format.")
        if self.backend == "jax" and self.kind in BY_TENSORFLOW:
            raise UsageError(
                f"TensorFlow writes {self.kind}, not JAX.", hint="Leave --backend out; the run may be of either."
            )
        if self.layout == "triton" and self.kind not in ("onnx", "openvino", "saved_model"):
            raise UsageError(f"Triton does not run {self.kind}.", hint="Use --format onnx, openvino or saved_model.")
        _ = self.largest_loss

    @property
    def kind(self) -> ExportFormat:
        """The format to write."""
        ends: dict[str, ExportFormat] = {
            ".onnx": "onnx", ".xml": "openvino", ".tflite": "litert", ".keras": "keras", "": "saved_model"
        }  # fmt: skip
        end = PurePath(self.output).suffix  # in small letters, as Keras and OpenVINO want it
        found = ends.get("" if self.layout else end)
        if self.format is None:
            if found is None or self.layout:
                raise UsageError(
                    f"{self.output} does not tell the format.",
                    hint="Add --format, or let PATH end in .onnx, .xml, .tflite or .keras.",
                )
            return found
        wanted = next(suffix for suffix, kind in ends.items() if kind == self.format)
        if not self.layout and wanted != end and (wanted or end in ends):
            raise UsageError(
                f"--format {self.format} writes {f'a file that ends in {wanted}' if wanted else 'a folder'}, and "
                f"{self.output} does not.",
                hint="Rename it, or leave --format out.",
            )
        return self.format

    @property
    def largest_loss(self) -> float:
        """Accuracy that the precision may cost, 0 to 1."""
        text = self.max_loss.strip()
        try:
            value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1 or (value == 1 and not text.endswith("%")):  # 1 is more often a point than all
            raise UsageError(f"--max-loss is {self.max_loss}; expected a share such as 1% or 0.01.")
        return value

    def without_effect(self) -> dict[str, str]:
        """Return the options that have no effect beside the others, with the reason."""
        reasons = {} if self.precision == "int8" else {"calibrate": "only --precision int8 calibrates"}
        return reasons if self.precision != "float32" else {**reasons, "max_loss": "float32 costs nothing"}


@dataclass(frozen=True, kw_only=True)
class InspectConfig(WidthOptions, LoadOptions):
    """Options of `tlkit inspect-h5`."""

    file: str = option(argument=True, path=True, metavar="FILE", help="An HDF5 file or .keras archive.")
    arch: str | None = option(
        None, group=NETWORK, metavar="NAME", help="Also report whether, and how, FILE loads into this network."
    )
    classes: int | None = _classes()
    stats: bool = option(
        False, group=OUTPUT, help="Read every tensor: minimum, maximum, mean, counts of NaN, infinite and zero values."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        flags = [*self.build.flags(), *self.load.flags()]
        if self.arch is None and flags:
            raise UsageError(f"{flags[0]} describes how FILE loads into a network.", hint="Add --arch NAME.")


@dataclass(frozen=True, kw_only=True)
class ConvertConfig(WidthOptions, LoadOptions):
    """Options of `tlkit convert-h5`."""

    source: str = option(argument=True, path=True, metavar="IN", help="The file to read.")
    output: str = option(argument=True, path=True, metavar="OUT", help="The .weights.h5 file to write.")
    arch: str = option(group=NETWORK, metavar="NAME", help="The network whose weights IN holds. Required.")
    classes: int | None = _classes()
    force: bool = _force("OUT if it exists")
