"""Choose the engine that runs a network, and open it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from tlkit.errors import UsageError
from tlkit.inference.base import Engine
from tlkit.inference.failures import OpenVINOError
from tlkit.inference.lazy_model import LazyModel
from tlkit.utils.compute import device, uses_gpu
from tlkit.utils.logging import warn_once


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


def engine_for(network: LazyModel, requested: str) -> Literal["keras", "openvino"]:
    """Return the engine that runs a network: as :func:`resolve_engine`, but ``auto`` is Keras if OpenVINO cannot.

    A network that has to be converted is opened to find out; one that is known as data is not.

    Raises:
        UsageError: See :func:`resolve_engine`.
    """
    name = resolve_engine(requested)
    if name == "keras" or requested != "auto" or network.is_data():
        return name
    return "keras" if _open_openvino(network, "float32", or_none=True) is None else "openvino"


def open_engine(network: LazyModel, *, engine: str = "auto", precision: str = "float32") -> Engine:
    """Make a network ready to run.

    Args:
        network: The network.
        engine: ``auto``, ``keras`` or ``openvino``.
        precision: What convolutions and matrix products compute in: ``float32`` or ``bfloat16``.

    Raises:
        UsageError: The engine is not installed, or this processor does not support ``precision``.
        ModelError: Keras cannot run the network, or OpenVINO cannot, where it was requested by name.
    """
    if network.runtime is not None:
        if device().startswith("gpu"):
            raise UsageError(f"Files of tlkit export run on processors, not with --device {device()}.")
        return network.runtime()
    opened = None
    if resolve_engine(engine) == "openvino":
        opened = _open_openvino(network, precision, or_none=engine == "auto")
    if opened is not None:
        return opened
    from tlkit.inference.keras_engine import KerasEngine

    return KerasEngine(network, precision)


def _open_openvino(network: LazyModel, precision: str, *, or_none: bool) -> Engine | None:
    """Return the engine; with ``or_none`` warn of a network that it cannot run, and return None."""
    from tlkit.inference.openvino_engine import OpenVINOEngine

    try:
        return OpenVINOEngine(network, precision)
    except OpenVINOError as error:
        if not or_none:
            raise
        warn_once(f"{error.message} Keras runs the network.")
        return None
