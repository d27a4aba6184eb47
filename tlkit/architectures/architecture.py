"""What tlkit knows of one architecture: a row of data, without Keras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tlkit.errors import ArchitectureError
from tlkit.weights.files import PackagedFile, WeightsFile


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One network, as published.

    Attributes:
        name: Lower case, no separators: ``inceptionv3``.
        title: As its authors write it: ``InceptionV3``.
        builder: ``module:function`` that builds it with the signature of ``keras.applications``.
        size: Default input height and width, in pixels; what takes no pictures has a ``fixed_shape``.
        least_size: The smallest height or width that leaves a feature map.
        preprocessing: A mode of :mod:`tlkit.images.preprocessing`, or the one of :mod:`tlkit.audio.look`.
        parameters: Count with the ImageNet top.
        size_mb: The published weights file with top, in MB.
        top1: Published ImageNet top-1 accuracy (0 to 1), None where none was published.
        top5: Published top-5 accuracy (0 to 1), or None.
        depth: Published depth, counting activations and normalisations, or None.
        features: Length of the pooled feature vector.
        blocks: Layers that end a block, in order: the places to cut.
        freeze: The block after which fine-tuning starts unless told otherwise.
        with_top: The weights file with the ImageNet classifier.
        without_top: The one without; None where the file with top serves both.
        fixed_top: True where the classifier needs the default input size (a Flatten before a Dense).
        keras1_freeze: Layer counts that Keras 1 recipes named, and the block they meant.
        old_names: ``{name of a layer in files of an older Keras: its name today}``, where Keras renamed layers.
        kind: What it takes: a name of :data:`tlkit.inputs.kind.KINDS`.
        labels: What its outputs are called: a table of :mod:`tlkit.architectures.labels`.
        fixed_shape: Height, width and channels of its input where those are given with the network.
    """

    name: str
    title: str
    builder: str
    size: int
    least_size: int
    preprocessing: str
    parameters: int
    size_mb: int
    top1: float | None
    top5: float | None
    depth: int | None
    features: int
    blocks: tuple[str, ...]
    freeze: str
    with_top: WeightsFile
    without_top: WeightsFile | None
    fixed_top: bool = False
    keras1_freeze: Mapping[int, str] = field(default_factory=dict)
    old_names: Mapping[str, str] = field(default_factory=dict)
    kind: str = "image"
    labels: str = "imagenet"
    fixed_shape: tuple[int, int, int] | None = None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the default input."""
        return self.fixed_shape or (self.size, self.size, 3)

    def weights_file(self, *, include_top: bool) -> WeightsFile:
        """The published file for this architecture with or without its classifier."""
        return self.with_top if include_top or self.without_top is None else self.without_top

    @property
    def weights_origin(self) -> str:
        """``package NAME`` or ``download``."""
        return f"package {self.with_top.distribution}" if isinstance(self.with_top, PackagedFile) else "download"

    def input_size(self, asked: tuple[int, int] | None, *, include_top: bool) -> tuple[int, int]:
        """Height and width to build for: what was asked, checked, or the default.

        Raises:
            ArchitectureError: Below the least size, or a size that the classifier cannot take.
        """
        if asked is None:
            return self.input_shape[:2]
        height, width = asked
        if self.fixed_shape is not None:
            if asked == self.fixed_shape[:2]:
                return asked
            raise ArchitectureError(
                f"--size {height}x{width} is for pictures; {self.name} takes {self.kind}, which becomes "
                f"{self.size}x{self.fixed_shape[1]} always.",
                hint="Leave --size out.",
            )
        if min(asked) < self.least_size:
            raise ArchitectureError(
                f"{self.name} needs an input of at least {self.least_size}x{self.least_size} pixels, "
                f"not {height}x{width}.",
                hint=f"Its default is --size {self.size}.",
            )
        if include_top and self.fixed_top and asked != (self.size, self.size):
            raise ArchitectureError(
                f"{self.name} with its ImageNet classifier takes {self.size}x{self.size} pixels only, "
                f"not {height}x{width}: the classifier starts with a Flatten.",
                hint="Leave --size out; features and fine-tuning take other sizes.",
            )
        return height, width
