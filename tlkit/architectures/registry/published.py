"""Where Keras publishes its weights, and helpers for the entries of the registry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tlkit.downloads.weights_file import WeightsFile

APPLICATIONS = "https://storage.googleapis.com/tensorflow/keras-applications"


def published(folder: str, with_top: tuple[str, str | None], without_top: tuple[str, str | None]) -> dict[str, Any]:
    """Return the two files of an architecture, given as ``(name, digest)``, in one folder of Keras's."""
    files = (WeightsFile(name, f"{folder}/{name}", digest) for name, digest in (with_top, without_top))
    return dict(zip(("with_top", "without_top"), files, strict=True))


def kernels(folder: str, stem: str, md5_top: str, md5_no_top: str) -> dict[str, Any]:
    """Return the two files under Keras's oldest names: ``vgg16_weights_tf_dim_ordering_tf_kernels[_notop].h5``."""
    name = f"{stem}_weights_tf_dim_ordering_tf_kernels"
    return published(
        f"{APPLICATIONS}/{folder}",
        (f"{name}.h5", f"md5:{md5_top}"),
        (f"{name}_notop.h5", f"md5:{md5_no_top}"),
    )


def numbered(pattern: str, first: int, last: int) -> tuple[str, ...]:
    """Return names with the numbers ``first`` to ``last``."""
    return tuple(pattern.format(number) for number in range(first, last + 1))


def residual_blocks(stages: Sequence[int]) -> tuple[str, ...]:
    """Return the last layers of the blocks of a ResNet.

    Args:
        stages: Number of blocks of each stage; the first stage is called ``conv2``.
    """
    return tuple(
        f"conv{stage}_block{block}_out" for stage, count in enumerate(stages, start=2) for block in range(1, count + 1)
    )
