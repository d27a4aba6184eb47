"""Read options from YAML files, strictly."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tlkit.errors import ConfigError
from tlkit.utils.text import did_you_mean


def read_options(path: Path, known: Iterable[str]) -> dict[str, Any]:
    """Read a YAML file of ``name: value`` lines; names with dashes or underscores.

    Args:
        path: The file.
        known: Names of the options, with dashes.

    Returns:
        ``{name with dashes: value}``, values as YAML gives them.

    Raises:
        ConfigError: Not plain YAML, not a mapping, a tag, an unknown or repeated key.
    """
    import yaml

    class UniqueKeys(yaml.SafeLoader):
        """Plain YAML that refuses repeated keys; the last one would win silently."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
            repeated = next((key for key in keys if keys.count(key) > 1), None)
            if repeated is not None:
                raise yaml.constructor.ConstructorError(None, None, f"{repeated} is given twice", node.start_mark)
            return super().construct_mapping(node, deep)

    try:
        content = yaml.load(path.read_text("utf-8"), UniqueKeys)
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not plain YAML: {' '.join(str(error).split())}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must contain lines of `option: value`, not a {type(content).__name__}.")
    names, options = sorted(known), {}
    for key, value in content.items():
        name = str(key).replace("_", "-")
        if name not in names:
            raise ConfigError(
                f"{path} has an unknown option {key!r}.",
                hint=did_you_mean(name, names) or f"The options are {', '.join(names)}.",
            )
        if name in options:
            raise ConfigError(f"{path} gives {name} twice.")
        if isinstance(value, dict | list) or value is None:
            raise ConfigError(f"{path}: {name} takes one value, not a {type(value).__name__}.")
        options[name] = value
    return options
