"""One way to run a network forward, whatever runs it."""

from __future__ import annotations

import os
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from tlkit.errors import UsageError
from tlkit.inference.lazy_model import LazyModel

ENGINES = ("auto", "keras", "openvino")
PRECISIONS = ("float32", "bfloat16")
EXTRA = "pip install 'tlkit[openvino]'"

Outputs = tuple[np.ndarray, ...]
"""One array an output, ``(rows, …)`` float32."""


class Engine(Protocol):
    """A network in inference mode. A row depends on its own values alone, never on its neighbours in the batch."""

    name: str
    """``keras`` or ``openvino``."""
    precision: str
    """``float32`` or ``bfloat16``."""
    shapes: tuple[tuple[int, ...], ...]
    """Of one row of each output."""
    batch: int
    """Rows to submit at a time that keep it busy; more only means that more is lost when it is broken off."""

    def submit(self, pixels: np.ndarray) -> Future[Outputs]:
        """Start on values ``(rows, height, width, channels)`` as the look gives them, unchanged meanwhile."""
        ...


def choose_engine(asked: str, *, installed: bool, gpu: bool) -> str:
    """``keras`` or ``openvino``: what was asked for; for ``auto`` OpenVINO where it is installed and there is no GPU.

    Raises:
        UsageError: OpenVINO was asked for and is not installed.
    """
    if asked == "auto":
        return "openvino" if installed and not gpu else "keras"
    if asked == "openvino" and not installed:
        raise UsageError("--engine openvino needs OpenVINO, which is not installed here.", hint=f"Run `{EXTRA}`.")
    return asked


def resolve_engine(asked: str) -> str:
    """:func:`choose_engine` with what is on this machine."""
    return choose_engine(asked, installed=find_spec("openvino") is not None, gpu=_has_gpu())


def _has_gpu() -> bool:
    """A GPU that TensorFlow may use; asked of the system, because asking TensorFlow takes seconds."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and Path("/proc/driver/nvidia/version").exists()


def open_engine(network: LazyModel, *, engine: str = "auto", precision: str = "float32") -> Engine:
    """Make a network ready to run.

    Args:
        network: What to run.
        engine: One of :data:`ENGINES`.
        precision: One of :data:`PRECISIONS`: what convolutions and matrix products compute in.

    Raises:
        UsageError: The engine is not installed, or this processor cannot compute in ``precision``.
    """
    if resolve_engine(engine) == "openvino":
        from tlkit.inference.openvino_engine import OpenVINOEngine

        return OpenVINOEngine(network, precision)
    from tlkit.inference.keras_engine import KerasEngine

    return KerasEngine(network, precision)


def run(engine: Engine, pixels: np.ndarray) -> Outputs:
    """Outputs for values ``(rows, height, width, channels)``, now."""
    return engine.submit(pixels).result()
