"""Which features: one layer of one network, with all that decides its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
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
from tlkit.inference.lazy_model import LazyModel
from tlkit.inference.select import resolve_engine
from tlkit.utils.text import did_you_mean

FORMAT = 1
"""Version of what provenance says."""


@dataclass(frozen=True)
class FeatureSpec:
    """What is asked of every picture.

    Attributes:
        network: From a picture to the features.
        facts: ``architecture``, ``weights``, ``layer``, ``pooling``: what the network is, as JSON knows it.
        outputs: How many outputs the network has.
    """

    network: LazyModel
    facts: Mapping[str, Any]
    outputs: int = 1

    def provenance(self, engine: str, precision: str) -> dict[str, Any]:
        """Everything that decides the features of given bytes, as JSON knows it.

        Args:
            engine: ``auto``, ``keras`` or ``openvino``.
            precision: ``float32`` or ``bfloat16``.
        """
        preprocessor = self.network.preprocessor
        name = resolve_engine(engine)
        packages = ("openvino",) if name == "openvino" else ("keras", "tensorflow")
        return {
            "format": FORMAT,
            **self.facts,
            "size": list(preprocessor.size),
            "resize": preprocessor.resize_mode,
            "preprocessing": preprocessor.preprocessing,
            "decoder": preprocessor.decoder,
            "engine": f"{name}, {', '.join(f'{package} {version(package)}' for package in packages)}",
            "precision": precision,
        }


def of_architecture(
    architecture: Architecture,
    *,
    weights: str | WeightsChoice = "imagenet",
    load: LoadOptions | None = None,
    layer: str | None = None,
    pooling: str | None = None,
    size: tuple[int, int] | None = None,
    resize: str | None = None,
    seed: int = 0,
    allow_private: bool = False,
    model: Callable[[], Any] | None = None,
) -> FeatureSpec:
    """The features of a layer of an architecture.

    Keras starts only when they have to be computed, or where weights are random.

    Args:
        architecture: The row of the table.
        weights: ``imagenet``, ``none`` or a path; or what :func:`choose_weights` gave.
        load: How to load a file.
        layer: The layer; None for the last of the base.
        pooling: ``avg``, ``max`` or ``none``; None for ``avg`` where the layer gives a feature map.
        size: Input size; None for the default.
        resize: What of a file is taken; None for the usual.
        seed: Draws random weights.
        allow_private: Addresses may lead inside this network.
        model: Gives the base, built with these very weights, where there is one already.

    Raises:
        UsageError: No such layer, or pooling of what is no feature map.
        ArchitectureError: The size does not fit.
        WeightsError: The weights cannot be had.
    """
    layers = {info.name: info for info in layers_of(architecture, include_top=False)}
    tops = {info.name: info for info in layers_of(architecture, include_top=True)}
    chosen = layer or next(reversed(layers))
    include_top = chosen not in layers
    if include_top and chosen not in tops:
        raise UsageError(
            f"{architecture.name} has no layer {chosen!r}.",
            hint=did_you_mean(chosen, [*architecture.blocks, *layers, *tops])
            or f"`tlkit archs {architecture.name}` lists its layers.",
        )
    if architecture.options.classes and not include_top:
        raise UsageError(
            f"--classes {architecture.options.classes} is of the classifier, and {chosen} lies below it.",
            hint="Leave --classes out.",
        )
    side = architecture.input_size(size, include_top=include_top)
    preprocessor = preprocessor_for(architecture, side, resize, allow_private=allow_private)
    pooling = _pooling(pooling, len((tops if include_top else layers)[chosen].shape) == 3, chosen)
    choice = (
        choose_weights(architecture, weights, include_top=include_top, size=side, options=load)
        if isinstance(weights, str)
        else weights
    )

    @cache
    def whole() -> Any:
        from tlkit.backend import keras

        if model is not None and not include_top:
            return model()
        keras.utils.set_random_seed(seed)
        return build_pretrained(architecture, weights=choice, include_top=include_top, size=side).model

    def wanted() -> Any:
        from tlkit.architectures.submodel import submodel

        return submodel(whole(), chosen, pooling, preprocessor.data_format)

    # random weights are known by their values alone
    cache_key: Mapping[str, Any] = choice.cache_key or {"digest": _values_digest(whole())}
    facts = {
        **architecture.spec_dict,
        "weights": {"name": Path(choice.name).name, **cache_key},
        "layer": chosen,
        "pooling": pooling,
    }
    known = {**facts, "weights": cache_key, "include_top": include_top} if choice.cache_key else None
    return FeatureSpec(LazyModel(wanted, preprocessor, known), facts)


def of_tensors(source: FeatureSpec, names: Sequence[str], model: Callable[[], Any]) -> FeatureSpec:
    """Other outputs of the network of a source, as they are.

    Args:
        source: Features of the same network.
        names: Of the layers that give the outputs.
        model: Gives the network with these outputs.
    """
    # which tensor a name means is up to the version of Keras that built the network
    own = {"layer": list(names), "pooling": "none", "keras": version("keras")}
    known = source.network.cache_key and {**source.network.cache_key, **own}
    return FeatureSpec(LazyModel(model, source.network.preprocessor, known), {**source.facts, **own}, len(names))


def of_model(
    model: Any,
    preprocessor: Preprocessor,
    *,
    name: str,
    digest: str,
    layer: str | None = None,
    pooling: str | None = None,
) -> FeatureSpec:
    """The features of a layer of a trained model: of the base inside it, or of its head.

    Args:
        model: A ``keras.Model`` of one input.
        preprocessor: How a picture becomes its input.
        name: The architecture of its base.
        digest: ``sha256:…`` of its file.
        layer: The layer; None for the last of the base.
        pooling: ``avg``, ``max`` or ``none``; None for ``avg`` where the layer gives a feature map.

    Raises:
        UsageError: No such layer, or pooling of what is no feature map.
    """
    from tlkit.architectures.submodel import layer_names, submodel

    base = next((inner for inner in model.layers if getattr(inner, "layers", None)), model)
    names = layer_names(model)
    chosen = layer or base.layers[-1].name
    if chosen not in names:
        raise UsageError(f"The run has no layer {chosen!r}.", hint=did_you_mean(chosen, names))
    pooling = _pooling(pooling, len(submodel(model, chosen).output_shape) == 4, chosen)
    facts = {
        "architecture": name,
        "weights": {"name": "run", "digest": digest},
        "layer": chosen,
        "pooling": pooling,
    }
    return FeatureSpec(
        LazyModel(lambda: submodel(model, chosen, pooling, preprocessor.data_format), preprocessor, facts), facts
    )


def _pooling(asked: str | None, is_map: bool, layer: str) -> str:
    if asked in ("avg", "max") and not is_map:
        raise UsageError(
            f"--pooling {asked} is for feature maps, and {layer} gives none.",
            hint="Leave --pooling out.",
        )
    return asked or ("avg" if is_map else "none")


def _values_digest(model: Any) -> str:
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(weight.numpy().tobytes())
    return f"values:{digest.hexdigest()}"


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What two provenances differ in: ``layer block4_pool, not block5_pool``; ``one`` is told first."""
    return [
        f"{name} {_shown(one.get(name))}, not {_shown(other.get(name))}"
        for name in dict.fromkeys([*other, *one])
        if one.get(name) != other.get(name)
    ]


def _shown(value: Any) -> str:
    if value is None:  # provenance names what is not as usual
        return "the usual"
    if isinstance(value, Mapping):
        return " ".join(str(item) if len(str(item)) < 30 else f"{str(item)[:20]}…" for item in value.values())
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)
