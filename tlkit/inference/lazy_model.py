"""A network to run forward, built only when an engine needs it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tlkit.data.preprocessor import Preprocessor
from tlkit.inference.provenance import Provenance

if TYPE_CHECKING:
    from tlkit.inference.base import Engine
    from tlkit.inference.compiler.network import Selection


@dataclass(frozen=True)
class LazyModel:
    """A network that is built on demand: as a Keras model, or, where it is known as data, without Keras.

    Attributes:
        model: Return the ``keras.Model``: one input, and the outputs that are computed.
        preprocessor: How a file becomes its input.
        provenance: What decides its outputs; None where its weights cannot be identified, so that no converted copy
            of it may be cached.
        selection: Return the network as data, with the same outputs; it may raise
            :class:`tlkit.inference.compiler.graph.Unsupported`. None where there is only the Keras model.
        runtime: Open the engine of a file that only the runtime of its format reads; None for all others.
        unsupported: Why there is only the Keras model: ``layer NAME (CLASS): REASON``.
    """

    model: Callable[[], Any]
    preprocessor: Preprocessor
    provenance: Provenance | None = None
    selection: Callable[[], Selection] | None = None
    runtime: Callable[[], Engine] | None = None
    unsupported: str | None = None

    def is_data(self) -> bool:
        """Return True where all layers and settings are known as data, so that no conversion can fail."""
        from tlkit.inference.compiler.graph import Unsupported
        from tlkit.inference.compiler.shapes import infer_shapes
        from tlkit.inference.compiler.tensors import Tensor

        if self.selection is None:
            return False
        sides, channels = self.preprocessor.size, self.preprocessor.channels
        try:
            network = self.selection().network
            first = network.data_format == "channels_first"
            infer_shapes(
                network.graph, Tensor(None, (channels, *sides) if first else (*sides, channels), moved=not first)
            )
        except (Unsupported, AttributeError, IndexError, KeyError, TypeError, ValueError):  # read_model_file has these
            return False
        return True

    @classmethod
    def joined(cls, networks: Sequence[LazyModel]) -> LazyModel:
        """Return one network with the outputs of all, in order; they are outputs of one and the same model."""
        if len(networks) == 1:
            return networks[0]

        def model() -> Any:
            from tlkit.backend import keras

            models = [network.model() for network in networks]
            return keras.Model(models[0].input, [output for each in models for output in each.outputs])

        provenances = [network.provenance for network in networks]
        known = [provenance for provenance in provenances if provenance is not None]
        joined = dataclasses.replace(
            known[-1],
            layer=[name for each in known for name in _as_list(each.layer)],
            pooling=[str(each.pooling) for each in known],
        ) if len(known) == len(provenances) else None  # fmt: skip
        reason = next((network.unsupported for network in networks if network.unsupported), None)
        return cls(model, networks[0].preprocessor, joined, _joined_selection(networks), unsupported=reason)


def _joined_selection(networks: Sequence[LazyModel]) -> Callable[[], Selection] | None:
    selections = [network.selection for network in networks]
    known = [selection for selection in selections if selection is not None]
    if len(known) < len(selections):
        return None

    def joined() -> Selection:
        parts = [selection() for selection in known]
        return dataclasses.replace(parts[0], outputs=tuple(output for part in parts for output in part.outputs))

    return joined


def _as_list(layer: str | Sequence[str]) -> Sequence[str]:
    return [layer] if isinstance(layer, str) else layer
