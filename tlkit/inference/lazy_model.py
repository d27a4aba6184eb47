"""What an engine runs: a network, the outputs that are wanted, and how files reach it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tlkit.data.preprocessor import Preprocessor


@dataclass(frozen=True)
class LazyModel:
    """A network to run forward; the Keras model is built when an engine needs it, which a compiled one does not.

    Attributes:
        model: Gives the Keras model: one input, and the wanted outputs.
        preprocessor: How a file becomes its input.
        cache_key: What decides every number it gives (architecture, weights, outputs, …), as JSON knows it; None when
            its weights are known to nobody, so that nothing may be kept of it.
    """

    model: Callable[[], Any]
    preprocessor: Preprocessor
    cache_key: Mapping[str, Any] | None = None


def digest_of(facts: Mapping[str, Any]) -> str:
    """A name for facts: the same for the same facts in any order, 32 hexadecimal digits."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
