"""Choose the engine that runs a network, and open it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from tlkit.errors import UsageError
from tlkit.inference.base import Engine
from tlkit.inference.lazy_model import LazyModel
from tlkit.utils.compute import device, uses_gpu


def choose_engine(requested: str, *, installed: bool, gpu: bool) -> Literal["keras", "openvino"]:
    """Return ``keras`` or ``openvino``.

    Args:
        requested: One of the two, or ``auto``: OpenVINO if it is installed and there is no GPU.
        installed: OpenVINO is installed.
        gpu: There is a GPU.

    Raises:
        UsageError: OpenVINO was requested and is not installed.
    """
    if requested == "auto":
        return "openvino" if installed and not gpu else "keras"
    if requested == "openvino" and not installed:
        raise UsageError(
            "--engine openvino needs OpenVINO, which is not installed.",
            hint="It comes with tlkit where there are packages of it (Linux, Windows, macOS on Apple silicon): run "
            "`pip install openvino`, or leave --engine out.",
        )
    return "openvino" if requested == "openvino" else "keras"


def resolve_engine(requested: str) -> Literal["keras", "openvino"]:
    """Return the engine that runs on this machine and device; see :func:`choose_engine`."""
    if requested == "openvino" and device().startswith("gpu"):
        raise UsageError(
            f"--engine openvino computes on processors, not with --device {device()}.", hint="Leave one of them out."
        )
    return choose_engine(requested, installed=find_spec("openvino") is not None, gpu=uses_gpu())


def open_engine(network: LazyModel, *, engine: str = "auto", precision: str = "float32") -> Engine:
    """Make a network ready to run.

    Args:
        network: The network.
        engine: ``auto``, ``keras`` or ``openvino``.
        precision: What convolutions and matrix products compute in: ``float32`` or ``bfloat16``.

    Raises:
        UsageError: The engine is not installed, or this processor does not support ``precision``.
    """
    if network.runtime is not None:
        if device().startswith("gpu"):
            raise UsageError(f"Files of tlkit export run on processors, not with --device {device()}.")
        return network.runtime()
    if resolve_engine(engine) == "openvino":
        from tlkit.inference.openvino_engine import OpenVINOEngine

        return OpenVINOEngine(network, precision)
    from tlkit.inference.keras_engine import KerasEngine

    return KerasEngine(network, precision)
