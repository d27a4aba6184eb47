"""Read options from YAML files, strictly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tlkit.errors import ConfigError
from tlkit.utils.bounded_read import read_text
from tlkit.utils.options import closest

_NULL = "tag:yaml.org,2002:null"


MAX_BYTES = 100_000
"""A file of options has a few hundred bytes."""


def read_options(path: Path, known: Iterable[str]) -> dict[str, str]:
    """Read a YAML file of ``name: value`` lines; names with dashes or underscores.

    A value is the text that stands there, as on the command line, whatever YAML makes of it: to YAML 1.1 ``12:30`` is
    750, ``010`` is 8, and ``no`` is a truth value.

    Args:
        path: The file, or a pipe.
        known: Names of the options, with dashes.

    Returns:
        ``{name with dashes: value}``.

    Raises:
        ConfigError: Not plain YAML, not a mapping, a tag, an unknown or repeated key.
    """
    import yaml

    class Text(yaml.SafeLoader):
        """Plain YAML whose values are text or null, and that refuses tags and repeated keys."""

        yaml_implicit_resolvers = {  # noqa: RUF012  # as in PyYAML
            first: [(tag, pattern) for tag, pattern in resolvers if tag == _NULL]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }
        yaml_constructors = {  # noqa: RUF012
            tag: make
            for tag, make in yaml.SafeLoader.yaml_constructors.items()
            if tag in (None, _NULL, *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")))
        }

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:  # the last one would win silently
                if key.value in seen if isinstance(key, yaml.ScalarNode) else False:
                    raise yaml.constructor.ConstructorError(None, None, f"{key.value} is given twice", key.start_mark)
                seen.add(key.value if isinstance(key, yaml.ScalarNode) else None)
            return super().construct_mapping(node, deep)

    try:
        text = read_text(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"Cannot read the configuration {path}: {reason}.") from error
    try:
        content = yaml.load(text, Text)
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deep; it must contain lines of `option: value`.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not plain YAML{_where(error)}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = "list" if isinstance(content, list) else "word"
        raise ConfigError(f"{path} must contain lines of `option: value`, not a {kind}.")
    names, options = sorted({*known}), {}
    for key, value in content.items():
        name = str(key).replace("_", "-")
        if name not in names:
            raise ConfigError(
                f"{path} has an unknown option {key!r}.",
                hint=closest(name, names) or f"The options are {', '.join(names)}.",
            )
        if name in options:
            raise ConfigError(f"{path} gives {name} twice.")
        if not isinstance(value, str):
            kind = "null" if value is None else "list" if isinstance(value, list) else "mapping"
            raise ConfigError(f"{path}: {name} takes one value, not a {kind}.")
        options[name] = value
    return options


def _where(error: Any) -> str:
    """Return place and reason of an error of PyYAML."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{place}: {' '.join(str(problem or error).split())}"
