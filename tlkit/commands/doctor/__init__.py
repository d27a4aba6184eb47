"""Report what this machine has, and what of it is broken: for a user who asks for help, and for the one who answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from tlkit import __version__
from tlkit.commands.doctor.engines import Engine, try_engines
from tlkit.commands.doctor.machine import Machine, inspect_machine
from tlkit.commands.doctor.packages import Packages, inspect_packages
from tlkit.commands.doctor.problems import Problem, find_problems
from tlkit.commands.doctor.settings import Settings, inspect_settings
from tlkit.commands.doctor.storage import Storage, inspect_storage
from tlkit.utils.compute import DRIVER, backend, expects_gpu
from tlkit.utils.logging import logger, warnings_held_back


@dataclass(frozen=True)
class Diagnosis:
    """What a machine has, and what is broken. Passwords are not in it.

    Attributes:
        version: Of tlkit.
        machine: System, Python, processors, memory.
        packages: What is installed, and what could be.
        engines: What runs networks, tried.
        storage: Cache, weights, temporary files.
        settings: keras.json and the environment.
        problems: What is broken, each with the next step; empty if nothing is.
    """

    version: str
    machine: Machine
    packages: Packages
    engines: tuple[Engine, ...]
    storage: Storage
    settings: Settings
    problems: tuple[Problem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``tlkit doctor --format json`` prints."""
        keras, environment = self.settings.keras, self.settings.environment
        cache, weights, temporary = self.storage.cache, self.storage.weights, self.storage.temporary
        document = {
            "tlkit": self.version,
            "machine": asdict(self.machine),
            "packages": [asdict(package) for package in self.packages.packages],
            "extras": [{**asdict(extra), "install": extra.install} for extra in self.packages.extras],
            "engines": [
                {"name": engine.kind.name, "status": engine.status, "seconds": engine.seconds,
                 "reason": engine.reason, "signal": engine.signal, "gpus": engine.gpus}
                for engine in self.engines
            ],
            "cache": {"folder": cache.folder, "bytes": cache.bytes, "limit": cache.limit, "free": cache.free,
                      "problem": cache.problem},
            "weights": {
                "folders": weights.folders, "mirror": weights.mirror, "problem": weights.mirror_problem,
                "architectures": weights.architectures,
                "files": [{"path": one.path, "bytes": one.bytes} for one in weights.files],
            },
            "temporary": asdict(temporary),
            "keras": asdict(keras),
            "environment": asdict(environment),
            "problems": [asdict(problem) for problem in self.problems],
        }  # fmt: skip
        # paths become text, and numbers that JSON has no words for too
        plain: dict[str, Any] = json.loads(json.dumps(document, default=str), parse_constant=str)
        return plain


def doctor() -> Diagnosis:
    """Report what this machine has, and run a small network in each engine that is installed."""
    logger.info("Running a small network in each engine; it takes some seconds.")
    with warnings_held_back():
        machine, packages, storage, settings = (
            inspect_machine(DRIVER), inspect_packages(), inspect_storage(), inspect_settings()
        )  # fmt: skip
        engines, gpu_expected = try_engines(), expects_gpu(backend())
    problems = find_problems(packages, engines, storage, settings, gpu_expected=gpu_expected)
    return Diagnosis(__version__, machine, packages, engines, storage, settings, problems)
