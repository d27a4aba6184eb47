"""Tables of what the code states once: architectures, errors, recipes."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import get_args

from generators.markdown import definition, prose, sections, table
from tlkit import errors as exceptions
from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.lookup import all_architectures
from tlkit.config import FinetuneConfig, Recipe
from tlkit.config_file import read_options
from tlkit.utils.options import options_of


def architectures() -> str:
    """Return a table of all architectures."""
    header = ("name", "size", "min", "parameters", "MB", "top-1", "top-5", "features", "blocks", "weights")
    return table(header, map(_architecture, all_architectures()), right=range(1, 9))


def _architecture(one: Architecture) -> tuple[str, ...]:
    shape = "x".join(map(str, one.default_shape[:2]))
    size = (str(one.size), str(one.min_size)) if one.fixed_shape is None else (shape, "–")
    accuracies = ("–" if accuracy is None else f"{accuracy:.1%}" for accuracy in (one.top1, one.top5))
    origin = one.weights_origin.partition(" ")[0]
    return (
        f"`{one.name}`", *size, f"{one.parameters / 1e6:.1f}M", str(one.size_mb), *accuracies, f"{one.features:,}",
        str(len(one.blocks)), origin,
    )  # fmt: skip


def errors() -> str:
    """Return a table of the exceptions, with the exit code of the command line."""
    found = [one for one in vars(exceptions).values() if isinstance(one, type) and issubclass(one, Exception)]
    rows = [(f"`{one.__name__}`", str(one.exit_code), prose((one.__doc__ or "").splitlines()[0])) for one in found]
    return table(("exception", "exit code", "what it is about"), rows)


def recipes() -> str:
    """Return a definition list of the recipes, with the options that each sets."""
    known = [item.flag[2:] for item in options_of(FinetuneConfig)]
    entries = []
    for name in get_args(Recipe):
        with resources.as_file(resources.files("tlkit") / "recipes" / f"{name}.yaml") as path:
            remark = " ".join(line.removeprefix("#").strip() for line in _lines(path) if line.startswith("#"))
            options = read_options(path, known)
        given = ", ".join(f"`{option}: {value}`" for option, value in options.items())
        entries.append(definition(name, prose(remark), f"Options: {given}." if given else "Options: the defaults."))
    return sections(*entries)


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()
