"""The command line's words for what a config holds."""

from __future__ import annotations

import dataclasses

from tlkit.config import BuildOptions, LoadOptions


def option_name(name: str) -> str:
    """The option of a config field: ``--batch-size`` for ``batch_size``."""
    return f"--{name.replace('_', '-')}"


def option_words(options: BuildOptions | LoadOptions) -> list[str]:
    """What says options on the command line; those left alone are left out."""
    words = []
    for item in dataclasses.fields(options):
        value = getattr(options, item.name)
        if value is True:
            words.append(option_name(item.name))
        elif value is False and item.default is None:
            words.append(f"--no-{option_name(item.name)[2:]}")
        elif value:
            words += [option_name(item.name), str(value)]
    return words


def options_said(*groups: BuildOptions | LoadOptions) -> list[str]:
    """The names of the options that were given: ``--alpha``."""
    return [word for group in groups for word in option_words(group) if word.startswith("--")]
