"""Extractors for workers of Ray, which import this module, and the processes that they run in."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from helpers.toy import toy
from tlkit.features.extractor import FeatureExtractor
from tlkit.features.spec import FeatureSpec


def toy_extractor(pooling: str = "avg", seconds: float = 0.0) -> FeatureExtractor:
    """Features of the toy base; each call takes ``seconds`` more. An image called ``deadly`` ends its process."""
    return _Slow(FeatureSpec.from_architecture(toy(), pooling=pooling), seconds=seconds)


class _Slow(FeatureExtractor):
    def __init__(self, *specs: FeatureSpec, seconds: float) -> None:
        super().__init__(*specs)
        self._seconds = seconds

    def compute_missing(self, files: Any, *given: Any, **options: Any) -> Any:
        if self.elsewhere is None:
            time.sleep(self._seconds)
            if any("deadly" in file for file in files):
                os.kill(os.getpid(), signal.SIGKILL)
        return super().compute_missing(files, *given, **options)


def processes(name: str, below: int | None = None) -> list[int]:
    """The processes that a process (this one) started, or what it started, whose command begins with ``name``."""
    children: dict[int, list[int]] = {}
    commands: dict[int, bytes] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(path.name))
            commands[int(path.name)] = (path / "cmdline").read_bytes()
    found, waiting = [], [below or os.getpid()]
    while waiting:
        inner = children.get(waiting.pop(), [])
        waiting += inner
        found += [process for process in inner if commands.get(process, b"").startswith(name.encode())]
    return found
