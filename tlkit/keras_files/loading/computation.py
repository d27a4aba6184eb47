"""Compare what a file's network computes with what another computes: shapes alone do not tell strides or paddings.

The constants that scale pixels in front of the first weights are compared as one affine map.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tlkit.keras_files.loading.steps import (
    CONVOLUTIONS,
    DEFAULTS,
    POOLS,
    Network,
    Step,
    channels_of,
    margins,
    pair,
    shown,
)

if TYPE_CHECKING:
    import numpy as np

_ANY_ORDER = {"Add", "Multiply", "Average", "Maximum", "Minimum"}
_UNCHANGED = {
    "ActivityRegularization", "AlphaDropout", "Cast", "Dropout", "FixedDropout", "Flatten", "GaussianDropout",
    "GaussianNoise", "Identity", "Reshape", "Resizing", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "StochasticDepth", "StopGradient",
}  # fmt: skip
"""Layers that change no value of an image for inference; the shapes of weights show what a Reshape did."""


def differences(
    file: Network,
    network: Network,
    pairs: Sequence[tuple[Step, Step]],
    *,
    assumed: Sequence[Step] = (),
    sums: Sequence[Step] = (),
    whole: bool,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the network of a file computes in another way, in words, and what cannot be told.

    Args:
        file: The network of the file.
        network: The one that its weights are for.
        pairs: The layers with the same weights: that of the file, that of the network.
        assumed: Layers of the network that the file lacks and that are set to constants.
        sums: Layers of the file that belong to the one before them.
        whole: True if the network has every weight, so that what it returns is compared too.
    """
    compared = _Comparison(file, network, pairs, assumed, sums)
    found = [why for mine, other in pairs if (why := compared.layers(mine, other))]
    if whole and not found and (why := compared.ends()):
        found.append(why)
    return tuple(dict.fromkeys(found)), tuple(dict.fromkeys(compared.notes))


class _Comparison:
    def __init__(
        self,
        file: Network,
        network: Network,
        pairs: Sequence[tuple[Step, Step]],
        assumed: Sequence[Step],
        sums: Sequence[Step],
    ) -> None:
        self.file, self.network = file, network
        self.sums = {id(step) for step in sums}
        self.partner = {id(other): mine for mine, other in pairs}
        self.assumed = {id(step) for step in assumed}
        self.weighted = {id(mine) for mine, _ in pairs}
        self.notes: list[str] = []
        self.known: dict[tuple[int, int], str | None] = {}
        self.maps: dict[int, Any] = {}

    def layers(self, mine: Step, other: Step) -> str | None:
        """Return how two layers with the same weights differ: their own options, then what they are called on."""
        if mine.kind == other.kind or {mine.kind, other.kind} <= CONVOLUTIONS:
            leave_out = {"padding", "kernel_size"} if other.kind in CONVOLUTIONS else set()
            why = self._options(mine, other, leave_out) if mine.is_known else None
            if why is None and other.kind in CONVOLUTIONS and mine.is_known and not _pads_alike(mine, other):
                why = f"pads by {_shown_padding(mine)} in the file and by {_shown_padding(other)} here"
            if why:
                return f"layer {other.name} {why}"
        pad = other.kind in CONVOLUTIONS
        befores = [(_padded(layer)[0],) if pad else layer.inputs for layer in (mine, other)]
        if len(befores[0]) != len(befores[1]):
            return f"layer {other.name} takes {len(befores[0])} inputs in the file and {len(befores[1])} here"
        for one, two in zip(*befores, strict=True):
            if why := self.same(one, two):
                return f"before layer {other.name} {why}"
        return None

    def ends(self) -> str | None:
        """Return how what the two return differs."""
        for end in self.network.outputs:
            if any(self.same(step, end) is None for step in self.file.steps):
                continue
            last = self._skip(end)
            if last.options.get("activation") == "softmax" and any(
                self.same(step, last.inputs[0]) is None for step in self.file.outputs
            ):
                self.notes.append("Its classifier returns logits; here a softmax makes them probabilities.")
                continue
            why = self.same(self.file.outputs[0], end) if self.file.outputs else None
            return f"the network ends in {last}: {why}" if why else f"the file has nothing like the end, {last}"
        return None

    def same(self, mine: Step, other: Step) -> str | None:
        """Return how two steps differ in what they compute; None if they do not."""
        key = id(mine), id(other)
        if key not in self.known:
            self.known[key] = self._same(self._skip(mine), self._skip(other))
        return self.known[key]

    def _skip(self, step: Step) -> Step:
        while (
            (step.kind in _UNCHANGED or step.kind.startswith("Random") or id(step) in self.sums)
            and step.inputs
            and id(step) not in self.weighted
        ):
            step = step.inputs[0]
        return step

    def _same(self, mine: Step, other: Step) -> str | None:
        if id(other) in self.partner:
            expected = self.partner[id(other)]
            if mine is expected or (not mine.is_known and self._sums(mine, other)):
                return None
            return f"the file has {mine}, and the network {other}"
        scaled, expected_map = self._map(mine), self._map(other)
        if expected_map is not None and scaled is not None:
            before = _affine(self.network.preprocess)
            if _close(scaled, expected_map) or _close(scaled, _compose(expected_map, before)):
                return None
            if self._is_assumed(other) and _close(scaled, _identity()):
                return None
            return f"the file scales pixels by {_shown_map(mine)}, and the network by {_shown_map(other)}"
        alike = bool(other.inputs) and len(mine.inputs) == len(other.inputs)
        if alike and not mine.is_known and self._inputs(mine, other) is None:
            self.notes.append(f"Layer {mine.name} ({mine.kind}) is code, which is not looked into; treated as {other}.")
            return None
        if mine.kind != other.kind or len(mine.inputs) != len(other.inputs):
            return f"the file has {mine}, and the network {other}"
        leave_out = {"padding", "strides", "pool_size"} if mine.kind in POOLS else set()
        if why := self._options(mine, other, leave_out):
            return f"{other.kind} {other.name} {why}"
        if mine.kind in POOLS and (why := _pools(mine, other)):
            return f"{other.kind} {other.name} {why}"
        if mine.constants != other.constants:
            return f"the file has {mine} of {shown(mine.constants)}, and the network of {shown(other.constants)}"
        return self._inputs(mine, other)

    def _is_assumed(self, other: Step) -> bool:
        """Return True for scaling that a file may leave to what is in front of the network."""
        return id(other) in self.assumed or any(self._is_assumed(self._skip(step)) for step in other.inputs)

    def _sums(self, mine: Step, other: Step) -> bool:
        """Return True for code behind a depthwise convolution that sums groups: the network has one layer for both."""
        return (
            len(mine.inputs) == 1
            and self._skip(mine.inputs[0]) is self.partner[id(other)] is not None
            and (self.partner[id(other)].kind != other.kind)
        )

    def _inputs(self, mine: Step, other: Step) -> str | None:
        if other.kind not in _ANY_ORDER or len(mine.inputs) < 2:
            return next((why for a, b in zip(mine.inputs, other.inputs, strict=True) if (why := self.same(a, b))), None)
        left, first = list(mine.inputs), None
        for expected in other.inputs:
            reasons = [self.same(step, expected) for step in left]
            if None not in reasons:
                return first or reasons[0]
            left.pop(reasons.index(None))
        return None

    def _options(self, mine: Step, other: Step, leave_out: set[str]) -> str | None:
        for key in sorted({*mine.options, *other.options} - leave_out):
            if key not in DEFAULTS and (key not in mine.options or key not in other.options):
                continue  # an option that one of the two Keras did not have
            one, two = (step.options.get(key, DEFAULTS.get(key)) for step in (mine, other))
            if not _equal(one, two):
                return f"has {key} {shown(one)} in the file and {shown(two)} here"
        return None

    def _map(self, step: Step) -> Any:
        """Return what pixels have gone through up to a step, as a matrix and an offset; None for anything else."""
        step = self._skip(step)
        if id(step) not in self.maps:
            self.maps[id(step)] = None if id(step) in self.weighted or id(step) in self.partner else self._made(step)
        return self.maps[id(step)]

    def _made(self, step: Step) -> Any:
        if step.kind == "InputLayer":
            return _identity()
        own = _own_map(step)
        before = self._map(step.inputs[0]) if own is not None and len(step.inputs) == 1 else None
        return None if own is None or before is None else _compose(own, before)


def _identity() -> Any:
    import numpy as np

    return np.eye(3), np.zeros(3)


def _own_map(step: Step) -> Any:
    """Return what a step with constants does to three channels, as a matrix and an offset; None for any other."""
    import numpy as np

    options, kind = step.options, step.kind
    if kind == "Rescaling":
        scale, offset = channels_of(options.get("scale", 1)), channels_of(options.get("offset", 0))
    elif kind == "Normalization" and options.get("mean") is not None and options.get("variance") is not None:
        mean, variance = channels_of(options["mean"]), channels_of(options["variance"])
        if mean is None or variance is None:
            return None
        deviation = np.maximum(np.sqrt(variance), 1e-7)
        scale, offset = 1 / deviation, -mean / deviation
    elif kind in ("Add", "Subtract", "Multiply", "TrueDivide") and len(step.constants) == 1:
        ((position, value),) = step.constants
        number, one, zero = channels_of(value), np.ones(3), np.zeros(3)
        if number is None or (position == 0 and kind == "TrueDivide"):
            return None
        turned = -one if position == 0 else one
        scale, offset = {
            "Add": (one, number), "Subtract": (turned, -turned * number),
            "Multiply": (number, zero), "TrueDivide": (one / number, zero),
        }[kind]  # fmt: skip
    elif kind == "GetItem" and len(step.constants) == 1 and _turns_channels(step.constants[0][1]):
        return np.eye(3)[::-1], np.zeros(3)
    else:
        return None
    return None if scale is None or offset is None else (np.diag(scale), offset)


def _turns_channels(index: Any) -> bool:
    text = json.dumps(index, default=str).replace(" ", "").lower()
    return "ellipsis" in text and "-1" in text and text.count("slice") <= 2


def _affine(preprocess: Callable[[np.ndarray], np.ndarray] | None) -> Any:
    import numpy as np

    if preprocess is None:
        return _identity()
    rows = preprocess(np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32)).astype(np.float64)
    return (rows[1:] - rows[0]).T / 255, rows[0]


def _compose(after: Any, before: Any) -> Any:
    return after[0] @ before[0], after[0] @ before[1] + after[1]


def _close(one: Any, two: Any) -> bool:
    import numpy as np

    return bool(np.allclose(one[0] * 255, two[0] * 255, atol=1e-3) and np.allclose(one[1], two[1], atol=1e-3))


def _padded(step: Step) -> tuple[Step, Any]:
    """Return what a convolution is called on, without a ZeroPadding, and by how much its sides are padded."""
    before = step.inputs[0]
    if step.options.get("padding") == "same":
        return before, "same"
    while before.kind in _UNCHANGED and before.inputs:
        before = before.inputs[0]
    if before.kind == "ZeroPadding2D" and step.kind in CONVOLUTIONS:
        return before.inputs[0], margins(before.options.get("padding", 1))
    return step.inputs[0], ((0, 0), (0, 0))


def _pads_alike(mine: Step, other: Step) -> bool:
    """Return True if two convolutions pad by as much, or each by what ``same`` is at its own size."""
    (_, one), (_, two) = _padded(mine), _padded(other)
    return bool(one == two) or all(_is_same(step) for step in (mine, other))


def _is_same(step: Step) -> bool:
    before, padding = _padded(step)
    if padding == "same":
        return True
    size, strides = pair(step.options.get("kernel_size", 1)), pair(step.options.get("strides", 1))
    dilation = pair(step.options.get("dilation_rate", 1))
    for side, k, s, d, margin in zip(before.sides, size, strides, dilation, padding, strict=True):
        sides = range(s, 2 * s) if side is None or s == 1 else (side,)
        if margin not in [_same_margin(side, (k - 1) * d + 1, s) for side in sides]:
            return False
    return True


def _same_margin(side: int, size: int, stride: int) -> tuple[int, int]:
    total = max((-(-side // stride) - 1) * stride + size - side, 0) if stride > 1 else size - 1
    return total // 2, total - total // 2


def _pools(mine: Step, other: Step) -> str | None:
    for key in ("pool_size", "strides"):
        one, two = (pair(step.options.get(key, 2)) for step in (mine, other))
        if one != two:
            return f"has {key} {shown(one)} in the file and {shown(two)} here"
    words = [step.options.get("padding", "valid") for step in (mine, other)]
    if words[0] != words[1] and not all(_pads_nothing(step) for step in (mine, other)):
        return f"has padding {words[0]} in the file and {words[1]} here"
    return None


def _pads_nothing(step: Step) -> bool:
    sides, size, strides = step.inputs[0].sides, pair(step.options["pool_size"]), pair(step.options["strides"])
    return None not in sides and all(
        (side - k) % s == 0 for side, k, s in zip(sides, size, strides, strict=True) if side is not None
    )


def _equal(one: Any, two: Any) -> bool:
    numbers = (int, float)
    if isinstance(one, numbers) and isinstance(two, numbers) and not isinstance(one, bool):
        return math.isclose(one, two, rel_tol=1e-6)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(_equal(a, b) for a, b in zip(one, two, strict=True))
    return bool(one == two)


def _shown_padding(step: Step) -> str:
    padding = _padded(step)[1]
    return padding if isinstance(padding, str) else shown(padding[0] if padding[0] == padding[1] else padding)


def _shown_map(step: Step) -> str:
    chain = []
    while step.inputs:
        chain.append(str(step))
        step = step.inputs[0]
    return " after ".join(chain) or "nothing"
