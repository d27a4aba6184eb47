"""The contents of a file as a tree of names, for whoever draws it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tlkit.keras_files.types import Attribute, LayerInfo, Node, Stats

MAX_VALUE_LENGTH = 56


@dataclass(slots=True)
class Tree:
    """A name, details about it, and the names below it."""

    name: str
    details: tuple[str, ...] = ()
    children: list[Tree] = field(default_factory=list)


def layer_tree(layers: Iterable[LayerInfo]) -> Tree:
    """Return the layers that hold tensors, inside the models that they belong to, with their tensors below them."""
    root = Tree("")
    models: dict[tuple[str, ...], Tree] = {(): root}
    for layer in layers:
        if not layer.tensors:
            continue
        for depth in range(1, len(layer.parents) + 1):
            path = layer.parents[:depth]
            if path not in models:
                models[path] = Tree(path[-1])
                models[path[:-1]].children.append(models[path])
        tensors = [
            Tree(
                tensor.role or tensor.name.removeprefix(f"{layer.name}/"),
                (format_shape(tensor.shape), tensor.dtype, *_stats_words(tensor.stats)),
            )
            for tensor in layer.tensors
        ]
        tree = Tree(layer.name, (layer.kind,) if layer.kind else (), tensors)
        models[layer.parents].children.append(tree)
        models.setdefault((*layer.parents, layer.name), tree)  # it may hold layers beside weights of its own
    return root


def object_tree(nodes: Sequence[Node], stats: Mapping[str, Stats]) -> Tree:
    """Return every object of a file below its group; attributes come first, as ``@name``.

    Args:
        nodes: The objects, parents before children, the first one the root.
        stats: Statistics of datasets by path, where they were asked for.
    """
    trees: dict[str, Tree] = {}
    for node in nodes:
        parent, _, name = node.path.rpartition("/")
        attributes = [Tree(f"@{attribute.name}", (format_value(attribute),)) for attribute in node.attributes]
        tree = Tree(name, (*_object_words(node), *_stats_words(stats.get(node.path))), attributes)
        trees[node.path.rstrip("/")] = tree
        if name:
            trees[parent].children.append(tree)
    return trees.get("", Tree(""))


def _object_words(node: Node) -> tuple[str, ...]:
    if node.kind == "group":
        return ()
    if node.kind == "dataset":
        shape = "no shape" if node.shape is None else format_shape(node.shape)
        outside = [f"{node.storage}: {node.target}"] if node.storage in ("external", "virtual") else []
        return (shape, str(node.dtype), *outside)
    if node.target is None:
        return (node.kind,)
    return (f"{node.kind} to {node.target}" if node.kind.endswith("link") else node.target,)


def _stats_words(stats: Stats | None) -> tuple[str, ...]:
    if stats is None:
        return ()
    if stats.note:
        return (stats.note,)
    values = [("min", stats.min), ("max", stats.max), ("mean", stats.mean)]
    counts = [("nan", stats.nan), ("infinite", stats.infinite), ("zero", stats.zero)]
    return (
        *(f"{name} {value:.4g}" for name, value in values if value is not None),
        *(f"{name} {count:,}" for name, count in counts if count),
    )


def format_shape(shape: Sequence[int]) -> str:
    """Return ``3x3x64x128``; ``1`` for a single value."""
    return "x".join(map(str, shape)) or "1"


def format_value(attribute: Attribute) -> str:
    """Return the value of an attribute as text, shortened; or why it was not read."""
    text = attribute.note or str(attribute.value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}… ({len(text):,} characters)"
