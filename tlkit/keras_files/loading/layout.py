"""Decide the layout of the tensors in a file from what it records; what it does not record is asked, not guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlkit.keras_files.layers import SavedLayer
from tlkit.keras_files.legacy_names import snake_case
from tlkit.keras_files.loading.tensor_matching import LayerMatch, TensorMatch
from tlkit.keras_files.loading.transforms import (
    CONV1D,
    CONV1D_TH,
    HARD_SIGMOID_GATES,
    TO_TF,
    TRANSPOSED_TF,
    TRANSPOSED_TH,
    Conversion,
    dense_after_flatten,
    flip,
    old_hard_sigmoid,
)
from tlkit.keras_files.model_config import data_layout
from tlkit.keras_files.types import Header

SPATIAL = {"conv1d": 1, "conv2d": 2, "conv2d_transpose": 2, "conv3d": 3}
"""Kinds whose kernels Theano flipped, and their number of spatial axes."""
KERNELS = {*SPATIAL, "depthwise_conv2d", "separable_conv2d"}
CORRELATES = {"tensorflow", "cntk", "jax", "torch", "numpy", "openvino"}


@dataclass(frozen=True)
class LayoutHints:
    """What a file records about its layout, apart from shapes."""

    header: Header
    layers: Sequence[SavedLayer]

    @property
    def data(self) -> str | None:
        """The data layout, ``tf`` or ``th``, which orders the rows of a Dense after a Flatten; None if it is unknown.

        Since Keras 2.2 a Flatten orders channels last whatever the layout. Before, it is in the configuration, or the
        default of the backend.
        """
        generation = self.header.generation
        if generation == 3 or (generation == 2 and _version(self.header.keras_version) >= (2, 2)):
            return "tf"
        recorded = data_layout(self.header.config) if self.header.config else None
        if recorded:
            return "tf" if recorded == "channels_last" else "th"
        return "tf" if self.header.backend in CORRELATES else None

    @property
    def by_default(self) -> bool:
        """Return True if ``data`` is only the default of the backend."""
        return (
            self.header.generation == 2
            and _version(self.header.keras_version) < (2, 2)
            and not (self.header.config and data_layout(self.header.config))
        )

    @property
    def flipped(self) -> bool | None:
        """Return True if kernels are flipped (Theano's), by backend or TensorFlow's ``:0`` in names; else None."""
        if self.header.backend is not None:
            return False if self.header.backend in CORRELATES else True if self.header.backend == "theano" else None
        if self.header.generation == 3 or any(
            tensor.name.endswith(":0") for layer in self.layers for tensor in layer.tensors
        ):
            return False
        return None


@dataclass(frozen=True)
class Layout:
    """The layout of a file.

    Attributes:
        kernels: ``tf`` or ``th``: the order of a kernel's axes.
        data: ``tf`` or ``th``: the order in which the Flatten before a Dense saw channels.
        flipped: True if kernels are rotated by 180 degrees.
        questions: What the user must choose.
        notes: Remarks for the user.
        generation: The major version of Keras whose conventions the tensors follow.
    """

    kernels: str
    data: str
    flipped: bool
    questions: tuple[str, ...]
    notes: tuple[str, ...]
    generation: int | None

    def convert(self, match: LayerMatch) -> list[tuple[str, tuple[Any, ...], tuple[Conversion, ...]]] | str:
        """Return the conversions of every tensor of a layer; or why a tensor does not match."""
        if self.generation == 0 and match.expected.kind == "BatchNormalization":
            return "Keras 0 stored a standard deviation, with an epsilon of its own, where Keras now stores a variance"
        found = []
        for tensor in match.tensors:
            steps = self._steps(match, tensor)
            if _through(tensor.saved_shape, steps) != tensor.shape:
                return f"{tensor.role} is {tensor.saved_shape} in the file and {tensor.shape} here"
            found.append((tensor.role, tensor.sources, tuple(steps)))
        return found

    def _steps(self, match: LayerMatch, tensor: TensorMatch) -> list[Conversion]:
        if match.conversion:
            return [match.conversion]
        kind, steps = snake_case(match.expected.kind), []
        if kind in KERNELS and tensor.role.endswith("kernel"):
            step = self._kernel_step(kind, tensor)
            steps += [step] if step else []
            if self.flipped and kind in SPATIAL and _extent(kind, tensor.shape) > 1:
                steps.append(flip(SPATIAL[kind]))
        if kind in ("dense", "batch_normalization") and match.expected.flattened and self.data == "th":
            height, width, channels = match.expected.flattened
            if height * width > 1 and channels > 1 and tensor.saved_shape[:1] == (height * width * channels,):
                steps.append(dense_after_flatten(match.expected.flattened))
        if (
            kind in HARD_SIGMOID_GATES
            and match.expected.recurrent_activation == "hard_sigmoid"
            and self.generation in (0, 1, 2)
        ):
            steps.append(old_hard_sigmoid(HARD_SIGMOID_GATES[kind]))
        return steps

    def _kernel_step(self, kind: str, tensor: TensorMatch) -> Conversion | None:
        axes = len(tensor.saved_shape)
        if kind == "conv1d" and axes == 4:
            return CONV1D if _through(tensor.saved_shape, [CONV1D]) == tensor.shape else CONV1D_TH
        if kind == "conv2d_transpose" and self.generation == 1:
            return TRANSPOSED_TF if self.kernels == "tf" else TRANSPOSED_TH
        return TO_TF.get(axes) if self.kernels == "th" else None


def decide_layout(
    hints: LayoutHints, matches: Sequence[LayerMatch], *, layout: str | None, flip: bool | None
) -> Layout:
    """Decide from the options, from what the file records, and from shapes that match only one way.

    Args:
        hints: What the file records.
        matches: The layers that were matched.
        layout: ``tf`` or ``th`` where the user chose it.
        flip: True if kernels are flipped, where the user chose it.
    """
    old = hints.header.generation in (0, 1)
    matches = [match for match in matches if not match.conversion]
    kernels = [
        tensor
        for match in matches
        for tensor in match.tensors
        if snake_case(match.expected.kind) in KERNELS
        and tensor.role.endswith("kernel")
        and len(tensor.saved_shape) == len(tensor.shape) == 4
        and not (old and match.expected.kind == "Conv2DTranspose")
    ]
    as_tf = sum(tensor.saved_shape == tensor.shape for tensor in kernels)
    as_th = sum(_through(tensor.saved_shape, [TO_TF[4]]) == tensor.shape for tensor in kernels)
    questions, notes = [], []

    if old and layout and as_tf != as_th:
        kernel_layout = layout  # kernels that contradict it do not match, which is reported
    elif as_tf != as_th:
        kernel_layout = "tf" if as_tf > as_th else "th"
    elif not kernels or not old:
        kernel_layout = "tf"
    else:  # every kernel matches both ways
        kernel_layout = layout or hints.data or ""
        if not kernel_layout and as_tf:
            questions.append("layout")

    # Keras 2 stores kernels in one layout whatever the data's, so only there the two may differ.
    data = layout or hints.data or (kernel_layout if old and kernels else None)
    flattens = any(
        match.expected.flattened
        and match.expected.flattened[0] * match.expected.flattened[1] > 1
        and match.expected.flattened[2] > 1
        for match in matches
    )
    if not data and flattens and "layout" not in questions:
        questions.append("layout")
    if flattens and layout is None and data == "tf" and hints.by_default:
        notes.append(
            "The file does not record whether it was trained channels first; it is read as channels last, "
            "TensorFlow's default (--layout th if not)."
        )

    flipped = flip if flip is not None else hints.flipped
    turnable = any(
        _extent(snake_case(match.expected.kind), tensor.shape) > 1
        for match in matches
        for tensor in match.tensors
        if snake_case(match.expected.kind) in SPATIAL and tensor.role == "kernel"
    )
    if flipped is None and turnable:
        questions.append("flip_kernels")
    return Layout(
        kernel_layout or "tf", data or "tf", bool(flipped), tuple(questions), tuple(notes), hints.header.generation
    )


def _version(text: str | None) -> tuple[int, ...]:
    parts = (text or "").split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())


def _extent(kind: str, shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape[: SPATIAL.get(kind, 0)]:
        size *= side
    return size


def _through(shape: tuple[int, ...], steps: Sequence[Conversion]) -> tuple[int, ...]:
    """Return the shape after the steps; nothing is computed: the stand-in is one number, broadcast."""
    import numpy as np

    stand_in = np.broadcast_to(np.float32(0), shape)
    for step in steps:
        if step.name.startswith("the Dense"):
            continue
        try:
            stand_in = step.apply(stand_in)
        except (ValueError, IndexError):
            return ()
    return stand_in.shape
