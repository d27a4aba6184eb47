"""The trained network of a run: its classifier, and features of any layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tlkit.data.preprocessor import Preprocessor
from tlkit.features.spec import FeatureSpec
from tlkit.inference.compiler.graph import Unsupported
from tlkit.inference.compiler.model_file import ModelNetwork
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.provenance import Provenance
from tlkit.training.run_folder import RunRecord, load_model, load_network, verified_digest
from tlkit.utils.logging import logger

CLASSIFIER = "classifier"
"""Stands for the output layer in the provenance of a whole network."""


@dataclass(frozen=True)
class RunNetwork:
    """The trained network of a run; it is loaded once, whatever is taken from it.

    Attributes:
        folder: The run folder.
        record: Its record.
        allow_private: URLs may lead to hosts of this network.
    """

    folder: Path
    record: RunRecord
    allow_private: bool = False

    @cached_property
    def preprocessor(self) -> Preprocessor:
        """How a file becomes its input."""
        return self.record.preprocessor(allow_private=self.allow_private)

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of the model file.

        Raises:
            RunError: It is damaged, or is not the file that was saved.
        """
        return verified_digest(self.folder, self.record)

    @cached_property
    def _model(self) -> Any:
        return load_model(self.folder, self.record)

    @cached_property
    def _network(self) -> ModelNetwork | Unsupported:
        try:
            return load_network(self.folder, self.record)
        except Unsupported as reason:
            logger.debug("The run goes through Keras: %s.", reason)
            return reason

    def classifier(self) -> LazyModel:
        """Return the network from an input to ``(batch, classes)`` probabilities."""
        # with the number of classes, so that a record that does not fit is compared with the model itself
        provenance = Provenance(
            architecture=self.record.architecture, weights={"digest": self.digest}, layer=CLASSIFIER,
            classes=len(self.record.classes),
        )  # fmt: skip
        network = self._network
        if isinstance(network, Unsupported):
            return LazyModel(lambda: self._model, self.preprocessor, provenance, unsupported=str(network))
        return LazyModel(lambda: self._model, self.preprocessor, provenance, network.network.select)

    def features(self, layer: str | None = None, pooling: str | None = None) -> FeatureSpec:
        """Return the features of a layer; arguments and errors are those of :meth:`FeatureSpec.from_model`."""
        network = None if isinstance(self._network, Unsupported) else self._network
        return FeatureSpec.from_model(
            lambda: self._model, self.preprocessor, network, name=self.record.architecture, digest=self.digest,
            layer=layer, pooling=pooling,
        )  # fmt: skip
