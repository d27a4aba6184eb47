"""The pretrained base, and where phase 2 stages it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tlkit.architectures.pretrained import build_pretrained
from tlkit.architectures.submodel import submodel
from tlkit.backend import keras
from tlkit.features.published_network import published_network
from tlkit.features.spec import FeatureSpec
from tlkit.inference.compiler.network import Network
from tlkit.training.freeze import FreezePoint
from tlkit.training.frontier import Frontier, find_frontier
from tlkit.training.plan import TrainingPlan
from tlkit.utils.logging import logger
from tlkit.utils.text import join_truncated, pluralize


@dataclass(frozen=True)
class Base:
    """A pretrained base.

    Attributes:
        model: The base without its classifier, as a functional ``keras.Model``.
        pooled: The base and its pooling; it shares the layers of ``model``.
        spec: The output of ``pooled`` as features: what phase 1 learns from.
        network: ``model`` without Keras, where it is known.
    """

    model: Any
    pooled: Any
    spec: FeatureSpec
    network: Network | None

    @property
    def feature_shape(self) -> tuple[int, ...]:
        """Shape of the features of one image."""
        return tuple(self.pooled.output_shape[1:])


@dataclass(frozen=True)
class Stage:
    """A stage of phase 2: which layers of the base train, and what reaches them from the frozen ones.

    Attributes:
        freeze_point: Where the base is cut into frozen and trainable layers.
        unfrozen: Layers whose ``trainable`` is True in this stage.
        trained: Those of them that have something to train.
        frontier: The tensors that cross from frozen to trainable layers.
        spec: Those tensors as features.
    """

    freeze_point: FreezePoint
    unfrozen: tuple[Any, ...]
    trained: tuple[Any, ...]
    frontier: Frontier
    spec: FeatureSpec

    def report(self, number: int | None, *, batchnorm: str) -> None:
        """Report what trains in a stage of phase 2; ``number`` is None for the only one."""
        logger.info("Phase 2%s: %s.", f", stage {number}" if number else "", self.freeze_point.description)
        names = join_truncated([layer.name for layer in self.trained], most=3) if self.trained else "none"
        logger.info("Training the head and %s: %s.", pluralize(len(self.trained), "layer"), names)
        statistics = "in inference mode" if batchnorm == "frozen" else "updates its statistics"
        logger.info("BatchNormalization: %s.", statistics)

    def freeze(self, base: Base) -> None:
        """Set ``trainable`` of every layer of the base for this stage."""
        base.model.trainable = True
        unfrozen = {id(layer) for layer in self.unfrozen}
        for layer in base.model.layers:
            layer.trainable = id(layer) in unfrozen


def load_base(plan: TrainingPlan) -> Base:
    """Build the base with its pretrained weights.

    Raises:
        WeightsError: The weights do not fit.
    """
    preprocessor, pooling = plan.preprocessor, plan.head.pooling
    model = build_pretrained(plan.architecture, weights=plan.weights, include_top=False, size=preprocessor.size).model
    last = model.layers[-1].name
    pooled = submodel(model, last, pooling, preprocessor.data_format)
    network = published_network(plan.architecture, plan.weights, include_top=False)
    spec = FeatureSpec.from_base(
        plan.architecture, plan.weights, preprocessor, layer=last, pooling=pooling,
        model=lambda: pooled, network=network,
    )  # fmt: skip
    return Base(model, pooled, spec, network)


def plan_stages(base: Base, freeze_points: Sequence[FreezePoint], *, batchnorm: str) -> list[Stage]:
    """Stage the base at every freeze point.

    Args:
        base: The base.
        freeze_points: One per stage of phase 2.
        batchnorm: ``frozen`` leaves BatchNormalization out: in inference mode it keeps the statistics that the layers
            around it rely on, and that a few images would spoil. ``train`` trains it too.
    """
    normalization = keras.layers.BatchNormalization
    base.model.trainable = True
    stages: list[Stage] = []
    for freeze_point in freeze_points:
        above = base.model.layers[freeze_point.frozen :]
        unfrozen = [layer for layer in above if batchnorm == "train" or not isinstance(layer, normalization)]
        # a BatchNormalization without scale and offset still updates its statistics
        trained = [layer for layer in unfrozen if layer.trainable_variables or isinstance(layer, normalization)]
        frontier = find_frontier(base.pooled, trained)
        if frontier.tensors[0] is base.pooled.outputs[0]:  # nothing of the base trains
            spec = base.spec
        else:
            same = [stage.spec for stage in stages if stage.frontier.names == frontier.names]
            model = _tensors(base, frontier)
            spec = same[0] if same else FeatureSpec.from_tensors(base.spec, frontier.names, model, base.network)
        stages.append(Stage(freeze_point, tuple(unfrozen), tuple(trained), frontier, spec))
    return stages


def _tensors(base: Base, frontier: Frontier) -> Any:
    return lambda: keras.Model(base.pooled.input, list(frontier.tensors))
