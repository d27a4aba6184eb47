"""Which features: the outputs of one network, with everything that decides their numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.layer_tables import layers_of
from tlkit.architectures.preprocessor import preprocessor_for
from tlkit.architectures.pretrained import WeightsChoice, build_pretrained, choose_weights
from tlkit.config import LoadOptions
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import UsageError
from tlkit.features.published_network import published_network
from tlkit.inference.compiler.graph import Graph
from tlkit.inference.compiler.model_file import ModelNetwork
from tlkit.inference.compiler.network import Network
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.provenance import Provenance
from tlkit.inference.select import resolve_engine
from tlkit.utils.compute import backend, uses_gpu
from tlkit.utils.text import did_you_mean


@dataclass(frozen=True)
class FeatureSpec:
    """Features to compute for every image.

    Attributes:
        network: From an image to the features.
        provenance: What the network is, whether or not a converted copy of it may be cached.
        outputs: Number of outputs of the network.
    """

    network: LazyModel
    provenance: Provenance
    outputs: int = 1

    def provenance_with(self, engine: str, precision: str) -> Provenance:
        """Return everything that decides the features of given bytes.

        Args:
            engine: ``auto``, ``keras`` or ``openvino``.
            precision: ``float32`` or ``bfloat16``.
        """
        preprocessor = self.network.preprocessor
        name = resolve_engine(engine)
        packages = ("openvino",) if name == "openvino" else ("keras", backend())
        parts = [
            name,
            *(f"{package} {version(package)}" for package in packages),
            *(["gpu"] if name == "keras" and uses_gpu() else []),
        ]
        return dataclasses.replace(
            self.provenance,
            size=list(preprocessor.size),
            resize=preprocessor.resize_mode,
            preprocessing=preprocessor.preprocessing,
            decoder=preprocessor.decoder,
            engine=", ".join(parts),
            precision=precision,
        )

    @classmethod
    def from_architecture(
        cls,
        architecture: Architecture,
        *,
        weights: str = "imagenet",
        load: LoadOptions | None = None,
        layer: str | None = None,
        pooling: str | None = None,
        size: tuple[int, int] | None = None,
        resize: str | None = None,
        seed: int = 0,
        allow_private: bool = False,
    ) -> FeatureSpec:
        """Describe the features of a layer of a published architecture.

        Keras starts only when they have to be computed, and only where nothing else computes them.

        Args:
            architecture: The row of the registry.
            weights: ``imagenet``, ``none`` or a path.
            load: How to load a weights file.
            layer: The layer; None for the last layer of the base.
            pooling: ``avg``, ``max`` or ``none``; None for ``avg`` where the layer outputs a feature map.
            size: Input height and width in pixels; None for the default.
            resize: How a file is brought to that size; None for the default.
            seed: Draws random weights.
            allow_private: URLs may lead to hosts of this network.

        Raises:
            UsageError: No such layer, or pooling of an output that is not a feature map.
            ArchitectureError: The size does not fit.
            WeightsError: The weights cannot be found.
        """
        base = {info.name: info for info in layers_of(architecture, include_top=False)}
        whole = {info.name: info for info in layers_of(architecture, include_top=True)}
        chosen = layer or next(reversed(base))
        include_top = chosen not in base
        if include_top and chosen not in whole:
            raise UsageError(
                f"{architecture.name} has no layer {chosen!r}.",
                hint=did_you_mean(chosen, [*architecture.blocks, *base, *whole])
                or f"`tlkit archs {architecture.name}` lists its layers.",
            )
        if architecture.options.classes and not include_top:
            raise UsageError(
                f"--classes {architecture.options.classes} sets the classifier, and {chosen} lies below it.",
                hint="Leave --classes out.",
            )
        side = architecture.input_size(size, include_top=include_top)
        preprocessor = preprocessor_for(architecture, side, resize, allow_private=allow_private)
        pooling = _pooling(pooling, len((whole if include_top else base)[chosen].shape) == 3, chosen)
        choice = choose_weights(architecture, weights, include_top=include_top, size=side, options=load, seed=seed)

        @cache
        def build() -> Any:
            return build_pretrained(architecture, weights=choice, include_top=include_top, size=side).model

        return cls.from_base(
            architecture, choice, preprocessor, layer=chosen, pooling=pooling,
            model=lambda: _submodel(build(), chosen, pooling, preprocessor),
            network=published_network(architecture, choice, include_top=include_top),
        )  # fmt: skip

    @classmethod
    def from_base(
        cls,
        architecture: Architecture,
        weights: WeightsChoice,
        preprocessor: Preprocessor,
        *,
        layer: str,
        pooling: str,
        model: Callable[[], Any],
        network: Network | None,
    ) -> FeatureSpec:
        """Describe the features of a layer of a network whose parts are known.

        Args:
            architecture: The row of the registry.
            weights: Where its weights come from.
            preprocessor: How a file becomes its input.
            layer: The layer.
            pooling: ``avg``, ``max`` or ``none``.
            model: Return the model from the input to the pooled layer.
            network: The same network without Keras, where it is known.
        """
        provenance = Provenance(
            **architecture.spec_dict,
            weights={"name": Path(weights.name).name, **weights.cache_key},
            layer=layer,
            pooling=pooling,
        )
        selection = partial(network.select, layer, pooling=pooling) if network else None
        return cls(LazyModel(model, preprocessor, provenance, selection), provenance)

    @classmethod
    def from_tensors(
        cls, spec: FeatureSpec, names: Sequence[str], model: Callable[[], Any], network: Network | None
    ) -> FeatureSpec:
        """Describe other outputs of the network of a spec, as they are.

        Args:
            spec: Features of the same network.
            names: Names of the layers that output the tensors.
            model: Return the network with these outputs.
            network: The same network without Keras, where it is known.
        """
        # which tensor a name means is up to the version of Keras that built the network
        provenance = dataclasses.replace(spec.provenance, layer=list(names), pooling="none", keras=version("keras"))
        selection = partial(network.select, *names) if network else None
        return cls(LazyModel(model, spec.network.preprocessor, provenance, selection), provenance, len(names))

    @classmethod
    def from_model(
        cls,
        load: Callable[[], Any],
        preprocessor: Preprocessor,
        network: ModelNetwork | None,
        *,
        name: str,
        digest: str,
        layer: str | None = None,
        pooling: str | None = None,
    ) -> FeatureSpec:
        """Describe the features of a layer of a trained model: of the base inside it, or of its head.

        Args:
            load: Return the ``keras.Model``, of one input.
            preprocessor: How a file becomes its input.
            network: The same network without Keras; None where only Keras computes it.
            name: The architecture of its base.
            digest: ``sha256:…`` of its file.
            layer: The layer; None for the last layer of the base.
            pooling: ``avg``, ``max`` or ``none``; None for ``avg`` where the layer outputs a feature map.

        Raises:
            UsageError: No such layer, or pooling of an output that is not a feature map.
        """
        names, last = _layers_of_graph(network.network.graph) if network else _layers_of_model(load())
        chosen = layer or last
        if chosen not in names:
            raise UsageError(f"The run has no layer {chosen!r}.", hint=did_you_mean(chosen, names))
        if network:
            shape = network.shapes(preprocessor.size)[network.network.graph.output_of(chosen).call]
        else:
            shape = _submodel(load(), chosen, "none", preprocessor).output_shape[1:]
        pooling = _pooling(pooling, len(shape) == 3, chosen)
        provenance = Provenance(
            architecture=name, weights={"name": "run", "digest": digest}, layer=chosen, pooling=pooling
        )
        selection = partial(network.network.select, chosen, pooling=pooling) if network else None
        return cls(
            LazyModel(lambda: _submodel(load(), chosen, pooling, preprocessor), preprocessor, provenance, selection),
            provenance,
        )


def _layers_of_graph(graph: Graph) -> tuple[list[str], str]:
    """Return the names of the layers of a trained model, and which is the last of its base."""
    layers = [call.name for call in graph.calls if not call.is_operation]
    base = next(iter(graph.models.values()), graph.outputs[0])
    return [*graph.models, *layers], graph.calls[base.call].name


def _layers_of_model(model: Any) -> tuple[list[str], str]:
    from tlkit.architectures.submodel import layer_names

    base = next((inner for inner in model.layers if getattr(inner, "layers", None)), model)
    return layer_names(model), base.layers[-1].name


def _submodel(model: Any, layer: str, pooling: str, preprocessor: Preprocessor) -> Any:
    from tlkit.architectures.submodel import submodel

    return submodel(model, layer, pooling, preprocessor.data_format)


def _pooling(asked: str | None, is_map: bool, layer: str) -> str:
    if asked in ("avg", "max") and not is_map:
        raise UsageError(
            f"--pooling {asked} applies to feature maps, and {layer} does not output one.", hint="Leave --pooling out."
        )
    return asked or ("avg" if is_map else "none")
