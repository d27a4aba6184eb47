"""What each job can be told: one frozen dataclass a job."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_ARCHITECTURE = "efficientnetlite0"
"""The base unless told otherwise: its weights come with tlkit."""

OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw")
SCHEDULES = ("constant", "linear", "cosine")
"""What becomes of a learning rate in the course of a phase: it stays, or falls to 0 in a line or half a cosine."""

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How to load, where the file leaves it open.

    Attributes:
        by_name: Match layers by name instead of by order.
        skip_mismatch: Leave out what does not fit, and list it.
        layout: ``tf`` or ``th``: the data layout that the file was trained with; None for what the file says.
        flip_kernels: Whether kernels are Theano's; None for what the file says.
    """

    by_name: bool = False
    skip_mismatch: bool = False
    layout: str | None = None
    flip_kernels: bool | None = None


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """Arguments of the constructors of ``keras.applications``, where they are not the usual ones.

    Attributes:
        alpha: Width of a MobileNet: what the number of filters of its layers is multiplied by.
        depth_multiplier: Of MobileNet: depthwise filters a channel.
        classes: Length of the classifier's output; None for what it was published with.
        data_format: ``channels_last`` or ``channels_first``; None for what ``keras.json`` says.
    """

    alpha: float | None = None
    depth_multiplier: int | None = None
    classes: int | None = None
    data_format: str | None = None


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """What `tlkit predict` is told.

    Attributes:
        images: Files, folders and http(s) addresses.
        arch: A name of the table; None for the default, or the run's.
        model: A run folder, or a model file of Keras, to predict with instead.
        weights: ``imagenet``, ``none`` or a path; None for ``imagenet``, or the run's own.
        size: Input size; None for the architecture's, or the run's.
        load: How to load a weights file, where it leaves that open.
        build: Arguments of the architecture's constructor.
        resize: ``squash`` or ``crop``; None for ``squash``, or the run's.
        preprocess: For a model file: how pixels become its inputs; None where the file says it.
        labels: A file with one class name a line, in output order.
        top: How many classes to name.
        batch_size: Pictures at a time.
        engine: ``auto``, ``keras`` or ``openvino``.
        precision: ``float32`` or ``bfloat16``.
        allow_private: Addresses may lead inside this network.
        keep_pictures: Give back this many of the first pictures, for a plot.
    """

    images: tuple[str, ...]
    arch: str | None = None
    model: str | None = None
    weights: str | None = None
    load: LoadOptions = LoadOptions()
    build: BuildOptions = BuildOptions()
    size: Size | None = None
    resize: str | None = None
    preprocess: str | None = None
    labels: str | None = None
    top: int = 5
    batch_size: int = 32
    engine: str = "auto"
    precision: str = "float32"
    allow_private: bool = False
    keep_pictures: int = 0


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """What `tlkit extract` is told.

    Attributes:
        images: Files, folders and http(s) addresses.
        output: The file to write: ``.npy``, ``.h5`` or ``.csv``.
        arch: A name of the table.
        model: A run folder, to take the features of its network instead.
        weights: ``imagenet``, ``none`` or a path.
        load: How to load a weights file, where it leaves that open.
        build: Arguments of the architecture's constructor.
        layer: The layer; None for the last of the base.
        pooling: ``avg``, ``max`` or ``none``; None for ``avg`` of feature maps.
        size: Input size; None for the architecture's.
        resize: ``squash`` or ``crop``; None for ``squash``.
        engine: ``auto``, ``keras`` or ``openvino``.
        precision: ``float32`` or ``bfloat16``.
        batch_size: Pictures at a time; None for the engine's own number.
        seed: Draws random weights.
        allow_private: Addresses may lead inside this network.
        force: Write over features of something else.
    """

    images: tuple[str, ...]
    output: str
    arch: str | None = None
    model: str | None = None
    weights: str | None = None
    load: LoadOptions = LoadOptions()
    build: BuildOptions = BuildOptions()
    layer: str | None = None
    pooling: str | None = None
    size: Size | None = None
    resize: str | None = None
    engine: str = "auto"
    precision: str = "float32"
    batch_size: int | None = None
    seed: int = 0
    allow_private: bool = False
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class BottleneckConfig:
    """What `tlkit bottleneck` is told.

    Attributes:
        data: A folder of class folders, or of ``train`` and ``validation`` folders of them.
        output: The folder to write into.
        format: ``npy`` or ``hdf5``.
        arch: A name of the table.
        weights: ``imagenet``, ``none`` or a path.
        load: How to load a weights file, where it leaves that open.
        build: Arguments of the architecture's constructor.
        layer: The layer; None for the last of the base.
        pooling: ``avg``, ``max`` or ``none``; None for ``avg`` of feature maps.
        size: Input size; None for the architecture's.
        resize: ``squash`` or ``crop``; None for ``squash``.
        engine: ``auto``, ``keras`` or ``openvino``.
        precision: ``float32`` or ``bfloat16``.
        batch_size: Pictures at a time; None for the engine's own number.
        val_split: The share of each class held out where the data has no validation folder.
        seed: Decides the split, and draws random weights.
        force: Write over features of something else.
    """

    data: str
    output: str
    format: str = "npy"
    arch: str = DEFAULT_ARCHITECTURE
    weights: str = "imagenet"
    load: LoadOptions = LoadOptions()
    build: BuildOptions = BuildOptions()
    layer: str | None = None
    pooling: str | None = None
    size: Size | None = None
    resize: str | None = None
    engine: str = "auto"
    precision: str = "float32"
    batch_size: int | None = None
    val_split: float = 0.2
    seed: int = 0
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """What `tlkit finetune` is told.

    Attributes:
        data: A folder of class folders, or of ``train`` and ``validation`` folders of them.
        arch: A name of the table.
        weights: ``imagenet``, ``none`` or a path.
        load: How to load a weights file, where it leaves that open.
        build: Arguments of the architecture's constructor.
        size: Input size; None for the architecture's.
        resize: ``squash`` or ``crop``; None for ``squash``.
        head: ``dense``, ``linear`` or ``flatten``.
        pooling: ``avg``, ``max`` or ``none``; None for the head's own.
        head_units: Of the head's hidden layer; None for the head's own.
        dropout: Before the head's last layer; None for the head's own.
        freeze: A number of layers, or the layer or block through which the base is frozen in phase 2; None for
            the architecture's default.
        unfreeze: Instead, how many of the last layers of the base train.
        unfreeze_blocks: Instead, how many of the last blocks of the base train.
        stages: Instead, several cuts as for ``freeze``, comma-separated, each deeper: one stage of phase 2 each.
        stage_decay: What the learning rate is multiplied by from stage to stage.
        batchnorm: ``frozen`` or ``train``: what BatchNorm of the unfrozen part does.
        epochs: Epochs of phase 1, the head alone.
        finetune_epochs: Epochs of phase 2, the top of the base and the head, or of each stage; 0 leaves it out.
        optimizer: One of :data:`OPTIMIZERS`, of phase 1.
        finetune_optimizer: The same, of phase 2.
        lr: Learning rate of phase 1.
        finetune_lr: Learning rate of phase 2.
        schedule: One of :data:`SCHEDULES`: what becomes of the learning rate in phase 1.
        finetune_schedule: The same, in phase 2.
        momentum: Of SGD.
        patience: Epochs without a better one after which a phase ends, and its best epoch is kept; None for never,
            and the last epoch is kept.
        class_weight: ``none``, or ``auto``: every class counts the same, however many pictures it has.
        label_smoothing: The share of each label that is spread over all classes.
        augment: ``none``, ``light``, ``recipe2017`` or ``randaugment``: how training pictures are changed.
        augment_copies: Keep features of this many changed copies of each training picture; None to change pictures
            anew in each epoch.
        val_split: The share of each class held out where the data has no validation folder.
        batch_size: Pictures at a time.
        seed: Decides the split, the order, the head's first weights and what augmentation draws.
        features: A folder that `tlkit bottleneck` wrote of the same pictures; None to compute them.
        cache_limit: Bytes, as people write them, that rows of this run may take; None for half of what is free on
            disk, at most what the cache may hold.
        engine: ``auto``, ``keras`` or ``openvino``: what runs the frozen part.
        precision: ``float32`` or ``bfloat16``: what the base computes in.
        output: The run folder; None for the next free ``runs/NAME-N``.
    """

    data: str
    arch: str = DEFAULT_ARCHITECTURE
    weights: str = "imagenet"
    load: LoadOptions = LoadOptions()
    build: BuildOptions = BuildOptions()
    size: Size | None = None
    resize: str | None = None
    head: str = "dense"
    pooling: str | None = None
    head_units: int | None = None
    dropout: float | None = None
    freeze: str | None = None
    unfreeze: int | None = None
    unfreeze_blocks: int | None = None
    stages: str | None = None
    stage_decay: float = 0.5
    batchnorm: str = "frozen"
    epochs: int = 10
    finetune_epochs: int = 5
    optimizer: str = "rmsprop"
    finetune_optimizer: str = "sgd"
    lr: float = 1e-3
    finetune_lr: float = 1e-4
    schedule: str = "constant"
    finetune_schedule: str = "constant"
    momentum: float = 0.9
    patience: int | None = None
    class_weight: str = "none"
    label_smoothing: float = 0.0
    augment: str = "none"
    augment_copies: int | None = None
    val_split: float = 0.2
    batch_size: int = 32
    seed: int = 0
    features: str | None = None
    cache_limit: str | None = None
    engine: str = "auto"
    precision: str = "float32"
    output: str | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What `tlkit evaluate` is told.

    Attributes:
        run: A run folder.
        data: A folder of class folders, or of ``train``, ``validation`` and ``test`` folders of them.
        split: Which of them; None for ``test`` where there is one, else ``validation``.
        report: Also write the page here.
        batch_size: Pictures at a time.
        engine: ``auto``, ``keras`` or ``openvino``.
        precision: ``float32`` or ``bfloat16``.
    """

    run: str
    data: str
    split: str | None = None
    report: str | None = None
    batch_size: int = 32
    engine: str = "auto"
    precision: str = "float32"


@dataclass(frozen=True, kw_only=True)
class InspectConfig:
    """What `tlkit inspect-h5` is told.

    Attributes:
        file: The file.
        arch: Also say whether and how it loads into this one.
        load: How it would be loaded.
        build: Arguments of the architecture's constructor.
        stats: Read every tensor, for its least, greatest and mean value.
    """

    file: str
    arch: str | None = None
    load: LoadOptions = LoadOptions()
    build: BuildOptions = BuildOptions()
    stats: bool = False


@dataclass(frozen=True, kw_only=True)
class ConvertConfig:
    """What `tlkit convert-h5` is told.

    Attributes:
        source: The file to read.
        output: The ``.weights.h5`` to write.
        arch: Whose weights they are.
        load: How to load them, where the file leaves that open.
        build: Arguments of the architecture's constructor.
        force: Write over a file that exists.
    """

    source: str
    output: str
    arch: str
    load: LoadOptions = LoadOptions()
    build: BuildOptions = BuildOptions()
    force: bool = False
