"""The pretrained base, and where phase 2 cuts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import LayerInfo, expected_layers, has_table
from tlkit.architectures.pretrained import WeightsChoice, build_pretrained
from tlkit.data.preprocessor import Preprocessor
from tlkit.features.published_network import published_graph, published_network
from tlkit.features.spec import FeatureSpec
from tlkit.inference.compiler.graph import Unsupported
from tlkit.inference.compiler.tensors import Tensor
from tlkit.training.freeze import FreezePoint, depth_in_blocks
from tlkit.training.frontier import Frontier, Node, find_frontier, nodes_of_graph, nodes_of_model
from tlkit.training.plan import TrainingPlan
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize


class Base:
    """A pretrained base without its classifier. Keras builds it when something trains, or runs on Keras.

    Args:
        architecture: The registry entry.
        weights: Where its weights come from.
        preprocessor: How a file becomes its input.
        layers: Its layers, in order.
        pooling: Of its output: ``avg``, ``max`` or ``none``.
        seed: Of what its layers draw while they train, as Dropout does.
    """

    def __init__(
        self,
        architecture: Architecture,
        weights: WeightsChoice,
        preprocessor: Preprocessor,
        layers: Sequence[LayerInfo],
        *,
        pooling: str,
        seed: int = 0,
    ) -> None:
        self.layers, self._architecture, self._weights = layers, architecture, weights
        self._preprocessor, self._pooling, self._seed = preprocessor, pooling, seed
        self._network = published_network(architecture, weights, include_top=False)

    @classmethod
    def of(cls, plan: TrainingPlan) -> Base:
        """Return the base of a run."""
        pooling, seed = plan.head.pooling, plan.config.seed
        return cls(plan.architecture, plan.weights, plan.preprocessor, plan.layers, pooling=pooling, seed=seed)

    @cached_property
    def model(self) -> Any:
        """The base as a functional ``keras.Model``, frozen.

        Raises:
            WeightsError: The weights do not fit.
        """
        from tlkit.backend import keras, keras_scope

        with keras_scope():
            keras.utils.set_random_seed(self._seed)
        size = self._preprocessor.size
        model = build_pretrained(self._architecture, weights=self._weights, include_top=False, size=size).model
        model.trainable = False
        return model

    @property
    def depths(self) -> dict[str, int]:
        """How many blocks from the top each layer is, from 1."""
        return depth_in_blocks(self._architecture, [layer.name for layer in self.layers])

    @cached_property
    def pooled(self) -> Any:
        """The base and its pooling, as a functional ``keras.Model``; it shares the layers of ``model``."""
        return self._layer(self.layers[-1].name, self._pooling)

    @cached_property
    def spec(self) -> FeatureSpec:
        """The output of ``pooled`` as features: what phase 1 learns from."""
        return FeatureSpec.from_base(
            self._architecture, self._weights, self._preprocessor, layer=self.layers[-1].name, pooling=self._pooling,
            model=lambda: self.pooled, network=self._network,
        )  # fmt: skip

    def features(self, layer: str) -> FeatureSpec:
        """Return the features of a layer, averaged over height and width where it outputs a map."""
        pooling = "avg" if len(next(info.shape for info in self.layers if info.name == layer)) == 3 else "none"
        if layer == self.layers[-1].name and pooling == self._pooling:
            return self.spec
        return FeatureSpec.from_base(
            self._architecture, self._weights, self._preprocessor, layer=layer, pooling=pooling,
            model=lambda: self._layer(layer, pooling), network=self._network,
        )  # fmt: skip

    def _layer(self, layer: str, pooling: str) -> Any:
        from tlkit.architectures.submodel import submodel

        return submodel(self.model, layer, pooling, self._preprocessor.data_format)

    @cached_property
    def nodes(self) -> list[Node]:
        """The calls of ``pooled``, inputs first: from the table of the architecture, or else from Keras."""
        if has_table(self._architecture):
            graph = published_graph(self._architecture, include_top=False)
            expected = expected_layers(self._architecture, include_top=False)
            source = Tensor(None, (*self._preprocessor.size, self._preprocessor.channels), moved=True)
            try:
                return nodes_of_graph(graph, expected, source, self._pooling)
            except Unsupported as reason:
                logger.debug("The base is cut in Keras: %s.", reason)
        return nodes_of_model(self.pooled)

    def spec_of(self, frontier: Frontier) -> FeatureSpec:
        """Return the tensors of a frontier as features."""
        if frontier.is_output:
            return self.spec
        model = partial(self._submodel, frontier)
        return FeatureSpec.from_tensors(self.spec, frontier.names, model, self._network)

    def _submodel(self, frontier: Frontier) -> Any:
        from tlkit.backend import keras
        from tlkit.keras_private import tensors_of

        return keras.Model(self.pooled.input, tensors_of(self.pooled, frontier.names))


@dataclass(frozen=True)
class Stage:
    """A stage of phase 2: which layers of the base train, and what reaches them from the frozen ones.

    Attributes:
        freeze_point: Where the base is cut into frozen and trainable layers.
        unfrozen: Names of the layers whose ``trainable`` is True in this stage.
        trained: Of those of them that have something to train.
        frontier: The tensors that cross from frozen to trainable layers.
        spec: Those tensors as features.
    """

    freeze_point: FreezePoint
    unfrozen: tuple[str, ...]
    trained: tuple[str, ...]
    frontier: Frontier
    spec: FeatureSpec

    def report(self, number: int | None, *, batchnorm: str) -> None:
        """Report what trains in a stage of phase 2; ``number`` is None for the only one."""
        logger.info("Phase 2%s: %s.", f", stage {number}" if number else "", self.freeze_point.description)
        names = join_truncated(self.trained, most=3) if self.trained else "none"
        logger.info("Training the head and %s: %s.", pluralize(len(self.trained), "layer"), names)
        statistics = "in inference mode" if batchnorm == "frozen" else "updates its statistics"
        logger.info("BatchNormalization: %s.", statistics)

    def rate_factors(self, base: Base, decay: float) -> dict[str, float]:
        """Return factors of the learning rate of the variables that train, by their ``path``: lower in deeper blocks.

        Args:
            base: The base, after :meth:`freeze`.
            decay: Factor from each block to the one below it, and from the head to the topmost; 1 for none.
        """
        if decay == 1:
            return {}
        depths = base.depths
        return {
            variable.path: decay ** depths[layer.name]
            for layer in base.model.layers
            for variable in layer.trainable_variables
        }

    def freeze(self, model: Any) -> None:
        """Set ``trainable`` of every layer of the base, a ``keras.Model``, for this stage."""
        model.trainable = True
        for layer in model.layers:
            layer.trainable = layer.name in self.unfrozen


def plan_stages(base: Base, freeze_points: Sequence[FreezePoint], *, batchnorm: str) -> list[Stage]:
    """Cut the base at every freeze point.

    Args:
        base: The base.
        freeze_points: One per stage of phase 2.
        batchnorm: ``frozen`` leaves BatchNormalization out: in inference mode it keeps the statistics that the layers
            around it rely on, and that a few images would spoil. ``train`` trains it too.
    """
    stages: list[Stage] = []
    for freeze_point in freeze_points:
        above = base.layers[freeze_point.frozen :]
        unfrozen = [layer for layer in above if batchnorm == "train" or layer.kind != "BatchNormalization"]
        trained = tuple(layer.name for layer in unfrozen if layer.is_trainable)
        frontier = find_frontier(base.nodes, trained)
        same = [stage.spec for stage in stages if stage.frontier.names == frontier.names]
        spec = same[0] if same else base.spec_of(frontier)
        stages.append(Stage(freeze_point, tuple(layer.name for layer in unfrozen), trained, frontier, spec))
    return stages
