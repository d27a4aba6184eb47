"""One architecture as an entry of the registry: plain data, without Keras."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tlkit.architectures.labels import published_labels
from tlkit.config import BuildOptions
from tlkit.downloads.weights_file import WeightsFile
from tlkit.errors import ArchitectureError, UsageError, WeightsError
from tlkit.utils.keras_home import image_data_format
from tlkit.utils.text import join_truncated


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A network as published.

    Attributes:
        name: Lower case, no separators: ``inceptionv3``.
        title: As its authors write it: ``InceptionV3``.
        builder: ``module:function`` that builds it, with the signature of ``keras.applications``.
        size: Default input height and width, in pixels; for audio see ``fixed_shape``.
        min_size: The smallest height or width that leaves a feature map.
        preprocessing: A mode of :mod:`tlkit.data.images.normalization`, or that of
            :mod:`tlkit.data.audio.preprocessor`.
        parameters: Count with the ImageNet top.
        size_mb: The published weights file with top, in MB.
        top1: Published ImageNet top-1 accuracy (0 to 1); None if none was published.
        top5: Published top-5 accuracy (0 to 1); None if none was published.
        depth: Published depth, counting activations and normalizations; None if none was published.
        features: Length of the pooled feature vector.
        blocks: Layers that end a block, in order: the natural freeze points.
        freeze: The default freeze point: fine-tuning trains the layers after this block.
        with_top: The weights file with the ImageNet classifier.
        without_top: The one without; None if the file with top serves both.
        fixed_top: True if the classifier needs the default input size (a Flatten before a Dense).
        keras1_freeze: Layer counts that Keras 1 recipes froze, and the block they meant.
        old_names: ``{layer name in files of an older Keras: its name today}``, for layers that Keras renamed.
        constants: ``{layer: {weight: values}}`` for layers that files of other packages lack.
        alphas: Width multipliers with published weights; empty if the width cannot be chosen.
        depth_multiplier: True if the number of depthwise filters per channel can be chosen.
        channels_first: True if it can be built in that data format.
        variants: ``{(alpha, input size): (file with top, file without)}`` if there are several.
        options: Arguments it is built with.
        modality: What it takes: a name of :data:`tlkit.data.modality.MODALITIES`.
        labels: Names of its outputs: a table of :mod:`tlkit.architectures.labels`.
        fixed_shape: Input height, width and channels if the network takes no other.
        package: The Python package that ships its layer tables, in ``data/layers/``.
    """

    name: str
    title: str
    builder: str
    size: int
    min_size: int
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
    constants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    alphas: tuple[float, ...] = ()
    depth_multiplier: bool = False
    channels_first: bool = True
    variants: Mapping[tuple[float, int], tuple[WeightsFile, WeightsFile]] = field(default_factory=dict)
    options: BuildOptions = field(default_factory=BuildOptions)
    modality: str = "image"
    labels: str = "imagenet"
    fixed_shape: tuple[int, int, int] | None = None
    package: str = "tlkit.architectures"

    def __hash__(self) -> int:
        """Hash by what tells entries apart; mappings have no hash."""
        return hash((self.name, self.options))

    @property
    def default_shape(self) -> tuple[int, int, int]:
        """The default input ``(height, width, channels)``."""
        return self.fixed_shape or (self.size, self.size, 3)

    def configured(self, options: BuildOptions) -> Architecture:
        """Return this architecture with the arguments it is to be built with.

        Raises:
            UsageError: It does not take one of them.
            ArchitectureError: It cannot be built channels first.
        """
        for option, given, taken in (
            ("--alpha", options.alpha, bool(self.alphas)),
            ("--depth-multiplier", options.depth_multiplier, self.depth_multiplier),
        ):
            if given is not None and not taken:
                raise UsageError(
                    f"{self.name} takes no {option}.",
                    hint=f"`tlkit archs {self.name}` lists the options it accepts.",
                )
        data_format = options.data_format
        if data_format is None and self.fixed_shape is None and image_data_format() == "channels_first":
            data_format = "channels_first"
        if data_format == "channels_first" and not self.channels_first:
            raise ArchitectureError(
                f"{self.name} cannot be built channels_first"
                f"{'' if options.data_format else ', the image_data_format of keras.json'}.",
                hint="Use --data-format channels_last.",
            )
        return dataclasses.replace(
            self,
            options=BuildOptions(  # defaults are normalized to None so that equal settings compare equal
                alpha=None if options.alpha == 1 else options.alpha,
                depth_multiplier=None if options.depth_multiplier == 1 else options.depth_multiplier,
                classes=None if options.classes == self.classes else options.classes,
                data_format=data_format,
            ),
        )

    @property
    def is_channels_first(self) -> bool:
        """Return True if its inputs and feature maps are ``(channels, height, width)``."""
        return self.options.data_format == "channels_first"

    @property
    def classes(self) -> int:
        """Length of the published classifier's output."""
        return len(published_labels(self.labels))

    @property
    def accepts(self) -> dict[str, Any]:
        """The options it accepts, by name: the possible values, the published ones, or whether it takes the option."""
        resizable = self.fixed_shape is None
        return {
            "size": resizable,
            "size_with_top": resizable and not self.fixed_top,
            "alpha": list(self.alphas),
            "depth_multiplier": self.depth_multiplier,
            "data_format": ["channels_last", *(["channels_first"] if self.channels_first else [])],
        }

    @property
    def arguments(self) -> dict[str, Any]:
        """The constructor arguments that change its layers; empty for the defaults."""
        own = {"alpha": self.options.alpha, "depth_multiplier": self.options.depth_multiplier}
        return {name: value for name, value in own.items() if value is not None}

    @property
    def spec_dict(self) -> dict[str, Any]:
        """Its name and the arguments that are not the defaults, for JSON: part of every provenance."""
        layout = {"data_format": "channels_first"} if self.is_channels_first else {}
        classes = {"classes": self.options.classes} if self.options.classes else {}
        return {"architecture": self.name, **self.arguments, **classes, **layout}

    def input_shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """Return the shape of one input in its data format: ``(height, width, channels)`` or channels first."""
        channels = self.default_shape[2]
        return (channels, *size) if self.is_channels_first else (*size, channels)

    @property
    def published(self) -> tuple[WeightsFile, ...]:
        """Every published weights file, with what it is for."""
        variants: Mapping[Any, tuple[WeightsFile, WeightsFile | None]]
        variants = self.variants or {(None, None): (self.with_top, self.without_top)}
        files = []
        for (alpha, size), (with_top, without_top) in variants.items():
            described = partial(replace, architecture=self.name, alpha=alpha, size=size)
            files.append(described(with_top, top="both" if without_top is None else "yes"))
            if without_top is not None:
                files.append(described(without_top, top="no"))
        return tuple(files)

    def weights_file(self, *, include_top: bool, size: tuple[int, int] | None = None) -> WeightsFile:
        """Return the published weights file.

        Args:
            include_top: With the ImageNet classifier or without.
            size: Input height and width. If weights were trained at several sizes, those of this one; at other
                sizes those of the default, as in Keras.

        Raises:
            WeightsError: None was published for this width or number of classes.
        """
        self._refuse_unpublished(include_top)
        side = size[0] if size and self.is_trained_at(size) else self.size
        variant = (self.options.alpha or 1.0, side) if self.variants else (None, None)
        tops = ("both", "yes" if include_top else "no")
        return next(file for file in self.published if file.top in tops and (file.alpha, file.size) == variant)

    def is_trained_at(self, size: tuple[int, int]) -> bool:
        """Return False if it has weights for several input sizes, but none for this one."""
        height, width = size
        return not self.variants or (height == width and (self.options.alpha or 1.0, height) in self.variants)

    def _refuse_unpublished(self, include_top: bool) -> None:
        options = self.options
        hint = "Use --weights none for random weights, or give a file with --weights PATH."
        if options.alpha is not None and options.alpha not in self.alphas:
            raise WeightsError(
                f"No ImageNet weights of {self.name} were published for --alpha {options.alpha:g}, only for "
                f"{join_truncated([f'{alpha:g}' for alpha in self.alphas])}.",
                hint=hint,
            )
        if options.depth_multiplier is not None:
            raise WeightsError(
                f"No ImageNet weights of {self.name} were published for --depth-multiplier "
                f"{options.depth_multiplier}, only for 1.",
                hint=hint,
            )
        if include_top and options.classes is not None:
            raise WeightsError(
                f"The published classifier of {self.name} has {self.classes:,} classes, not {options.classes:,}.",
                hint=f"{hint} `tlkit finetune` trains a classifier for your own classes.",
            )

    @property
    def weights_origin(self) -> str:
        """``package NAME`` or ``download``."""
        return f"package {self.with_top.package}" if self.with_top.package else "download"

    def input_size(self, requested: tuple[int, int] | None, *, include_top: bool) -> tuple[int, int]:
        """Return the input height and width to build for: those requested, validated, or the default.

        Raises:
            ArchitectureError: Below the minimum size, or a size that the classifier cannot take.
        """
        if requested is None:
            return self.default_shape[:2]
        height, width = requested
        if self.fixed_shape is not None:
            if requested == self.fixed_shape[:2]:
                return requested
            raise ArchitectureError(
                f"--size {height}x{width} is for images; {self.name} takes {self.modality}, always as "
                f"{self.size}x{self.fixed_shape[1]}.",
                hint="Leave --size out.",
            )
        if min(requested) < self.min_size:
            raise ArchitectureError(
                f"{self.name} needs an input of at least {self.min_size}x{self.min_size} pixels, not {height}x{width}.",
                hint=f"Its default is --size {self.size}.",
            )
        if include_top and self.fixed_top and requested != (self.size, self.size):
            raise ArchitectureError(
                f"{self.name} with its ImageNet classifier takes {self.size}x{self.size} pixels only, "
                f"not {height}x{width}: the classifier starts with a Flatten.",
                hint="Leave --size out; features and fine-tuning take other sizes.",
            )
        return height, width
