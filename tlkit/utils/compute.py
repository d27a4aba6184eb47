"""Which backend of Keras computes, and on which device, as options and the environment say; neither is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from tlkit.errors import TlkitError, UsageError
from tlkit.utils.extras import is_installed, needs
from tlkit.utils.keras_home import settings
from tlkit.utils.logging import warn_once
from tlkit.utils.options import join_or
from tlkit.utils.processors import use_threads

Backend = Literal["tensorflow", "jax"]
BACKENDS: tuple[Backend, ...] = ("tensorflow", "jax")
"""The backends of Keras that tlkit computes with; the first that is installed is the default."""

DRIVER = Path("/proc/driver/nvidia/version")
"""Where NVIDIA's driver tells what it is, on Linux."""
CUDA_EXTRAS: dict[Backend, str] = {"tensorflow": "tensorflow[and-cuda]", "jax": "jax[cuda13]"}
"""What brings a backend with what it needs for GPUs."""
_CUDA_PACKAGES = {"tensorflow": ("nvidia.cudnn",), "jax": ("jax_cuda13_plugin", "jax_cuda12_plugin")}
_backend: Backend | None = None
_device = "auto"


def use(threads: int | None, backend: Backend | None, device: str) -> None:
    """Choose what computes from now on in this process; see :func:`tlkit.utils.processors.use_threads`.

    Raises:
        TlkitError: The backend is not installed, or the process has started with another backend or device.
    """
    use_threads(threads)
    use_backend(backend)
    use_device(device)


def use_backend(name: Backend | None, by: str = "") -> None:
    """Choose the backend from now on in this process.

    Args:
        name: One of :data:`BACKENDS`; None for what ``KERAS_BACKEND`` or ``keras.json`` names, else the first of them
            that is installed.
        by: What needs it, for messages; without it the option does.

    Raises:
        TlkitError: It is not installed, or Keras has been imported with another.
    """
    global _backend
    imported = _imported_backend()
    if name is not None and imported not in (None, name):
        raise TlkitError(
            f"{by or f'--backend {name}'}: Keras was imported with {imported} in this process, and keeps it.",
            hint=f"Use another process, or set KERAS_BACKEND={name} before the first import of keras.",
        )
    _backend = name
    needs("jax" if backend() == "jax" else None, backend(), by=f"Keras's backend {backend()}")


def backend() -> Backend:
    """Return the backend of Keras that computes: ``tensorflow`` or ``jax``. Keras is not imported for it."""
    if _backend is not None:
        return _backend
    asked, saved = os.environ.get("KERAS_BACKEND"), (settings() or {}).get("backend")
    named = asked or (saved if saved != BACKENDS[0] else None)  # which Keras has written there by itself
    for choice in (_imported_backend(), named):
        for known in BACKENDS:
            if choice == known:
                return known
    if named:
        warn_once(f"Keras's backend is set to {named}; tlkit computes with {join_or(BACKENDS)}, here {_default()}.")
    return _default()


def _default() -> Backend:
    return next((name for name in BACKENDS if is_installed(name)), BACKENDS[0])


def _imported_backend() -> str | None:
    keras = sys.modules.get("keras")
    # while it is being imported it has no backend yet
    return str(keras.backend.backend()) if keras is not None and hasattr(keras, "backend") else None


def use_device(name: str) -> None:
    """Choose the device from now on in this process: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``.

    Raises:
        UsageError: The backend has started on another device.
    """
    global _device
    started = "tlkit.backend" in sys.modules
    here = "gpu" if uses_gpu() else "cpu"
    if started and name not in ("auto", _device, here):
        raise UsageError(
            f"--device {name}: this process computes on {_device if _device != 'auto' else f'the {here}'} since Keras "
            "has started.",
            hint="Start another process for another device.",
        )
    if not started:
        _device = name


def device() -> str:
    """Return the device that was chosen: ``auto``, ``cpu``, ``gpu`` or ``gpu:N``."""
    return _device


def uses_gpu() -> bool:
    """Return True if the backend computes on a GPU. Reads the system: asking the backend takes seconds."""
    return expects_gpu(backend()) if _device == "auto" else _device != "cpu"


def expects_gpu(name: Backend) -> bool:
    """Return True if a backend should find a GPU: there are a driver and packages for it, and none is hidden."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and DRIVER.exists() and any(is_installed(package) for package in _CUDA_PACKAGES[name])
