"""Several sources of one network, computed together: a picture goes through it once, whatever is taken from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from tlkit.engines.engine import Engine, open_engine
from tlkit.engines.network import Network
from tlkit.features.compute import compare_with_float32
from tlkit.features.fill import Copies, Filled, fill
from tlkit.features.source import FeatureSource
from tlkit.features.store import RowStore


class Together:
    """Sources that take outputs of one and the same network, with the engine that computes them.

    Args:
        sources: Which; all of one ``keras.Model``, each with all it needs from a picture.
        outputs: How many outputs each has.
        engine: ``auto``, ``keras`` or ``openvino``.
        precision: ``float32`` or ``bfloat16``.
    """

    def __init__(
        self,
        sources: Sequence[FeatureSource],
        outputs: Sequence[int],
        *,
        engine: str = "auto",
        precision: str = "float32",
    ) -> None:
        self.sources, self.outputs = tuple(sources), tuple(outputs)
        self.precision = precision
        self.asked = engine
        self._engines: dict[tuple[int, ...], Engine] = {}
        self.notes: dict[str, Any] = {}

    @cached_property
    def provenances(self) -> list[dict[str, Any]]:
        """What decides the rows of each source."""
        return [source.provenance(self.asked, self.precision) for source in self.sources]

    def engine(self, *numbers: int) -> Engine:
        """The engine that gives the outputs of these sources, in order."""
        if numbers not in self._engines:
            network = _joint([self.sources[number] for number in numbers])
            self._engines[numbers] = open_engine(network, engine=self.asked, precision=self.precision)
        return self._engines[numbers]

    def fill(
        self,
        files: Sequence[str],
        stores: Sequence[RowStore],
        *,
        numbers: Sequence[int],
        description: str,
        known: Sequence[bytes | None],
        copies: Copies | None = None,
    ) -> tuple[Sequence[RowStore], Filled]:
        """Have a row in the store of some sources for every picture; see :func:`tlkit.features.fill.fill`.

        Args:
            files: The pictures.
            stores: One for each of the sources.
            numbers: Which sources.
            description: What the progress bar says.
            known: Digests of the files.
            copies: Variants to compute of each picture instead of the picture itself.
        """

        def opened(lacking: Sequence[int]) -> Engine:
            wanted = [numbers[place] for place in lacking]
            engine = self.engine(*wanted)
            if self.precision != "float32" and not self.notes:
                self.notes = compare_with_float32(_joint([self.sources[number] for number in wanted]), engine, files)
            return engine

        filled = fill(
            files,
            stores,
            opened,
            look=self.sources[0].network.look,
            outputs=[self.outputs[number] for number in numbers],
            description=description,
            known=known,
            copies=copies,
        )
        return stores, filled


def _joint(sources: Sequence[FeatureSource]) -> Network:
    """One network with the outputs of all sources, in order."""
    networks = [source.network for source in sources]
    if len(networks) == 1:
        return networks[0]

    def model() -> Any:
        from tlkit.backend import keras

        models = [network.model() for network in networks]
        return keras.Model(models[0].input, [output for model in models for output in model.outputs])

    identities = [network.identity for network in networks]
    identity: Mapping[str, Any] | None = None if None in identities else {"together": identities}
    return Network(model, networks[0].look, identity)
