"""Features of pictures on one engine at one precision: what recipes use to fill a store."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tlkit.engines.engine import Engine, open_engine, run
from tlkit.engines.network import Network
from tlkit.errors import FeatureError, ImageError
from tlkit.features.fill import Filled, fill
from tlkit.features.source import FeatureSource
from tlkit.features.store import RowStore
from tlkit.files import whole_file
from tlkit.progress import logger

NOTES = "notes.json"
_COMPARED = 8
"""Pictures on which a lower precision is compared with float32."""


class Computing:
    """A source of features with the engine that computes it, opened when a row is missing.

    Args:
        source: Which features.
        engine: ``auto``, ``keras`` or ``openvino``.
        precision: ``float32`` or ``bfloat16``.
    """

    def __init__(self, source: FeatureSource, *, engine: str = "auto", precision: str = "float32") -> None:
        self.source, self.precision = source, precision
        self._asked = engine
        self.any_engine = engine == "auto"
        self.provenance = source.provenance(engine, precision)
        self.notes: dict[str, Any] = {}

    @cached_property
    def engine(self) -> Engine:
        """The engine, ready."""
        return open_engine(self.source.network, engine=self._asked, precision=self.precision)

    def fill(
        self,
        sources: Sequence[str],
        store: RowStore,
        *,
        batch_size: int | None = None,
        description: str,
        known: Sequence[bytes | None] | None = None,
    ) -> Filled:
        """Have a row in ``store`` for every picture; see :func:`tlkit.features.fill.fill`."""

        def opened(_: Sequence[int]) -> Engine:
            if self.precision != "float32" and not self.notes:
                self._compare(sources, store.folder)
            return self.engine

        look = self.source.network.look
        filled = fill(sources, [store], opened, look=look, batch_size=batch_size, description=description, known=known)
        if self.precision != "float32" and not self.notes:
            self._compare(sources, store.folder)
        return filled

    def _compare(self, sources: Sequence[str], folder: Path) -> None:
        """Measure what the lower precision costs, on the first pictures; say it, and keep it with the rows."""
        kept = folder / NOTES
        if kept.is_file():
            self.notes = json.loads(kept.read_text("utf-8"))
            return
        self.notes = compare_with_float32(self.source.network, self.engine, sources)
        if not self.notes:
            return
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(kept) as part:
            part.write_text(json.dumps(self.notes) + "\n", "utf-8")


def compare_with_float32(network: Network, engine: Engine, sources: Sequence[str]) -> dict[str, Any]:
    """Measure what an engine's lower precision costs on the first pictures that can be read, and say it.

    Returns:
        ``relative_error`` and ``pictures_compared``; nothing where no picture can be read.
    """
    pixels: list[np.ndarray] = []
    for source in sources:
        if len(pixels) == _COMPARED:
            break
        with suppress(ImageError):
            pixels.append(network.look.read(source))
    if not pixels:
        return {}
    batch = np.stack(pixels)
    error = relative_error(run(engine, batch)[0], run(open_engine(network, engine=engine.name), batch)[0])
    logger.info(
        "%s differs from float32 by %.2g of its size on the first %d pictures.", engine.precision, error, len(pixels)
    )
    return {"relative_error": error, "pictures_compared": len(pixels)}


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    """The length of the difference over the length of what was expected."""
    length = float(np.linalg.norm(expected.astype(np.float64)))
    return float(np.linalg.norm(got.astype(np.float64) - expected)) / length if length else 0.0


def refuse_difference(what: str, holds: Mapping[str, Any], wanted: Mapping[str, Any], hint: str) -> None:
    """Refuse features of another provenance than is wanted, naming what differs.

    Raises:
        FeatureError: They differ.
    """
    from tlkit.features.source import differences

    told = differences(holds, wanted)
    if told:
        raise FeatureError(f"{what} is of something else: {'; '.join(told)}.", hint=hint)
