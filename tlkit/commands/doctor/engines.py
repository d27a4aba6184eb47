"""Which engines run a network on this machine: each is tried in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tlkit.commands.doctor.processes import Ended, run_all
from tlkit.utils.compute import BACKENDS
from tlkit.utils.extras import is_installed
from tlkit.utils.processors import usable_processors
from tlkit.utils.text import shorten, without_secrets

LIMIT_SECONDS = 60.0
"""For one engine; the slowest takes six."""
_START = "import sys; engine, _, *sys.path = sys.argv[1:]; from tlkit.inference.small_network import main; main(engine)"
"""Packages are found where this process finds them: with ``-c`` the current folder would come first."""
_PACKAGES = str(Path(__file__).parents[3])
_LONGEST_REASON, _LONGEST_LINE = 300, 160
_BY_ITSELF = {"TF_CPP_MIN_LOG_LEVEL": "0"}
"""TensorFlow says why it aborts, which is not shown otherwise."""
_UNLESS_SET = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""JAX would take most of a GPU's memory, and fail beside a training."""


@dataclass(frozen=True)
class Kind:
    """An engine that there may be.

    Attributes:
        name: Its name.
        title: Its name in text.
        module: What is imported.
        package: What ``pip`` installs.
        extra: The extra of tlkit that brings it; None if tlkit comes with it.
        instead: The option that has another one run, whose name it ends with; empty if it has nothing to stand in.
    """

    name: str
    title: str
    module: str
    package: str
    extra: str | None = None
    instead: str = ""

    @property
    def is_backend(self) -> bool:
        """Whether Keras computes with it, perhaps on a GPU."""
        return self.name in BACKENDS

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'tlkit[{self.extra}]'" if self.extra else f"pip install {self.package}"


KINDS = (
    Kind("tensorflow", "Keras on TensorFlow", "tensorflow", "tensorflow", None, "--backend jax"),
    Kind("jax", "Keras on JAX", "jax", "jax", "jax", "--backend tensorflow"),
    Kind("openvino", "OpenVINO", "openvino", "openvino", None, "--engine keras"),
    Kind("onnxruntime", "ONNX Runtime", "onnxruntime", "onnxruntime", "onnx"),
    Kind("litert", "LiteRT", "ai_edge_litert", "ai-edge-litert", "litert"),
)


@dataclass(frozen=True)
class Engine:
    """An engine, and whether it runs.

    Attributes:
        kind: What it is.
        status: ``works``, ``broken`` or ``not installed``.
        seconds: From the start of its process to its end; None if it is not installed.
        reason: Why it is broken.
        signal: The name of the signal that ended its process: ``SIGILL``.
        gpus: The graphics cards that it sees, of a backend of Keras.
    """

    kind: Kind
    status: str
    seconds: float | None = None
    reason: str | None = None
    signal: str | None = None
    gpus: tuple[str, ...] = ()


def try_engines() -> tuple[Engine, ...]:
    """Run a small network in each engine that is installed, two at a time, and compare its answer with NumPy's."""
    present = [kind for kind in KINDS if is_installed(kind.module)]
    environment = {**_UNLESS_SET, **os.environ, **_BY_ITSELF}
    try:
        ends = list(run_all(
            [_command(kind.name) for kind in present], environment=environment, limit=LIMIT_SECONDS,
            at_once=min(2, usable_processors()),
        ))  # fmt: skip
    except OSError as error:
        return tuple(Engine(kind, "broken", reason=f"no process can be started ({error})") for kind in present)
    tried = {kind.name: _engine(kind, ended) for kind, ended in zip(present, ends, strict=True)}
    return tuple(tried.get(kind.name) or Engine(kind, "not installed") for kind in KINDS)


def _command(engine: str) -> Sequence[str]:
    flags = ["-B"] if sys.dont_write_bytecode else []
    return [sys.executable, *flags, "-c", _START, engine, "--", *sys.path, _PACKAGES]


def _engine(kind: Kind, ended: Ended) -> Engine:
    seconds = round(ended.seconds, 2)
    try:
        answer = json.loads(ended.stdout)
        problem, gpus = answer["problem"], tuple(map(str, answer["gpus"]))
    except (ValueError, KeyError, TypeError):
        problem, gpus = "its process ended without an answer", ()
    if ended.status == 0:
        return Engine(kind, "broken" if problem else "works", seconds, problem and _short(problem), gpus=gpus)
    killed = None if ended.status is None or ended.status > 0 else _signal_name(-ended.status)
    if ended.status is None:
        how = f"it did not end within {LIMIT_SECONDS:g} s"
    elif killed:
        how = f"{killed} ended its process"
    else:
        how = f"its process ended with exit code {ended.status}"
    last = next((line.strip() for line in reversed(ended.stderr.splitlines()) if line.strip()), "")
    reason = f"{how}; it printed: {shorten(last, _LONGEST_LINE)}" if last else how
    return Engine(kind, "broken", seconds, _short(reason), killed)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # of real-time signals some have no name
        return f"signal {number}"


def _short(reason: str) -> str:
    return shorten(without_secrets(reason), _LONGEST_REASON).rstrip(".")
