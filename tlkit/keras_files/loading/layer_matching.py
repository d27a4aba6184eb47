"""Match the layers of a file with those of a network: by order, by name, or by class and count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tlkit.keras_files.layers import SavedLayer
from tlkit.keras_files.legacy_names import is_automatic, numbered, snake_case
from tlkit.keras_files.loading.layer_spec import LayerSpec
from tlkit.utils.text import join_truncated, pluralize


@dataclass(frozen=True)
class Matching:
    """Pairs of layers.

    Attributes:
        matched_by: ``order`` or ``name``.
        pairs: ``(position in the network, layer of the file)``.
        unused: Layers of the file without a match.
        notes: Remarks for the user.
    """

    matched_by: str
    pairs: tuple[tuple[int, SavedLayer], ...]
    unused: tuple[SavedLayer, ...]
    notes: tuple[str, ...] = ()


def matchings(
    saved: Sequence[SavedLayer], expected: Sequence[LayerSpec], *, by_name: bool, old_names: Mapping[str, str]
) -> Iterator[Matching]:
    """Iterate over the matchings worth trying, the likeliest first: the whole file, then each model inside it.

    Names that were given take precedence over order; automatic names (``conv2d_17``) only record the order in which
    layers of their class were built.
    """
    saved = [part for layer in saved for part in _parts(layer, expected)]
    for layers in _candidate_layers(saved):
        rest = [layer for layer in saved if not any(layer is other for other in layers)]
        for matching in _candidate_matchings(layers, expected, by_name, old_names):
            yield Matching(matching.matched_by, matching.pairs, (*matching.unused, *rest), matching.notes)


def _parts(saved: SavedLayer, expected: Sequence[LayerSpec]) -> list[SavedLayer]:
    """Split a layer of the file that is a model inside the network into its layers; else return it unchanged."""
    inner = [layer for layer in expected if layer.path and layer.path[-1] == saved.name]
    roles = [role for layer in inner for role, _ in layer.tensors]
    if len(inner) < 2 or [tensor.role for tensor in saved.tensors] != roles:
        return [saved]
    parts, start = [], 0
    for layer in inner:
        tensors = saved.tensors[start : start + len(layer.tensors)]
        parts.append(SavedLayer(layer.name, tensors, None, (*saved.path, saved.name), saved.place))
        start += len(tensors)
    return parts


def _candidate_layers(saved: Sequence[SavedLayer]) -> Iterator[Sequence[SavedLayer]]:
    yield saved
    inside = dict.fromkeys(layer.path[:depth] for layer in saved for depth in range(1, len(layer.path) + 1))
    for path in inside:
        layers = [layer for layer in saved if layer.path[: len(path)] == path]
        if len(layers) < len(saved):
            yield layers


def _candidate_matchings(
    saved: Sequence[SavedLayer], expected: Sequence[LayerSpec], by_name: bool, old_names: Mapping[str, str]
) -> Iterator[Matching]:
    named = _by_name(saved, expected, old_names)
    between = _between(saved, named)
    if by_name:
        yield Matching("name", named.pairs, named.unused, (*named.notes, *([BETWEEN] if between else [])))
        return
    given = {position for position, layer in enumerate(expected) if not is_automatic(layer.name)}
    by_given_name = {position: layer for position, layer in named.pairs if position in given}
    ordered = _by_class(saved, expected) if not all(layer.ordered for layer in saved) else _in_order(saved, expected)
    agree = dict(ordered.pairs)
    contradicted = [
        position for position, layer in by_given_name.items() if position in agree and agree[position] is not layer
    ]
    if contradicted and between:  # a larger relative: its names are known here, what it computes is not
        yield ordered
        return
    if contradicted:
        if len(by_given_name) == len(given) or len(named.pairs) == len(expected):
            note = "The file has the layers in another order; they were matched by name."
            yield Matching("name", named.pairs, named.unused, (*named.notes, note))
            return
        yield named  # order would contradict the names
        return
    strangers = [layer.name for layer in saved if layer.named and not is_automatic(layer.name)]
    notes = ordered.notes
    if given and strangers and not by_given_name:
        notes = (
            *notes,
            f"No layer has the name that it has here ({join_truncated(strangers, most=2)}; {_first_given(expected)}); "
            "they were matched by order.",
        )
    yield Matching(ordered.matched_by, ordered.pairs, ordered.unused, notes)
    if len(named.pairs) == len(expected) and not between:
        yield named


BETWEEN = "Layers of the file that are not used stand between those that are: it may be of another network."


def _between(saved: Sequence[SavedLayer], matching: Matching) -> bool:
    """Return True if there are unmatched layers between matched ones."""
    used = {id(layer) for _, layer in matching.pairs}
    places = [number for number, layer in enumerate(saved) if id(layer) in used]
    return bool(places) and places[-1] - places[0] + 1 > len(places)


def _first_given(expected: Sequence[LayerSpec]) -> str:
    return join_truncated([layer.name for layer in expected if not is_automatic(layer.name)][:2])


def _in_order(saved: Sequence[SavedLayer], expected: Sequence[LayerSpec]) -> Matching:
    return Matching("order", tuple(enumerate(saved[: len(expected)])), tuple(saved[len(expected) :]))


def _by_class(saved: Sequence[SavedLayer], expected: Sequence[LayerSpec]) -> Matching:
    """Match the k-th layer of each class: folders named by class record no other order."""
    waiting: dict[str | None, list[SavedLayer]] = {}
    for layer in saved:
        waiting.setdefault(layer.kind, []).append(layer)
    if None in waiting:  # an inner model saved partly frozen, in a file without configuration
        return Matching(
            "order", (), tuple(saved), ("An inner model was saved partly frozen; its order is only known by names.",)
        )
    pairs = []
    for position, place in enumerate(expected):
        same = waiting.get(snake_case(place.kind))
        if same:
            pairs.append((position, same.pop(0)))
    return Matching("order", tuple(pairs), tuple(layer for layers in waiting.values() for layer in layers))


def _by_name(saved: Sequence[SavedLayer], expected: Sequence[LayerSpec], old_names: Mapping[str, str]) -> Matching:
    saved, nameless = [layer for layer in saved if layer.named], [layer for layer in saved if not layer.named]
    if len({layer.name for layer in saved}) < len(saved):
        return _by_path(saved, expected)
    today = {layer.name: layer for layer in saved}
    for layer in saved:
        today.setdefault(old_names.get(layer.name, _plain(layer.name)), layer)
    pairs = {}
    for position, place in enumerate(expected):
        found = today.get(place.name) or today.get(_plain(place.name))
        if found is not None and not (is_automatic(place.name) and is_automatic(found.name)):
            pairs[position] = found
    renamed = sum(layer.name != expected[position].name for position, layer in pairs.items())
    pairs.update(_by_count(saved, expected, today))
    used = {id(layer) for layer in pairs.values()}
    unused = tuple(layer for layer in (*saved, *nameless) if id(layer) not in used)
    notes = (f"{pluralize(renamed, 'layer')} had the name of an older Keras.",) if renamed and pairs else ()
    return Matching("name", tuple(sorted(pairs.items(), key=lambda pair: pair[0])), unused, notes)


def _by_path(saved: Sequence[SavedLayer], expected: Sequence[LayerSpec]) -> Matching:
    """Match by name and the names of the models around: models inside a model may use a name twice."""
    by_path = {(*layer.path, layer.name): layer for layer in saved}
    pairs = {
        position: by_path[(*place.path, place.name)]
        for position, place in enumerate(expected)
        if (*place.path, place.name) in by_path
    }
    used = {id(layer) for layer in pairs.values()}
    return Matching("name", tuple(pairs.items()), tuple(layer for layer in saved if id(layer) not in used))


def _plain(name: str) -> str:
    """Normalise what Keras versions changed in names: slashes (not allowed since Keras 3), case, ``BatchNorm``."""
    return name.lower().replace("/", "_").replace("batchnorm", "bn")


def _by_count(
    saved: Sequence[SavedLayer], expected: Sequence[LayerSpec], today: Mapping[str, SavedLayer]
) -> dict[int, SavedLayer]:
    """Match automatic names: the k-th built of a class with the k-th built of that class.

    Where the file has another number of them than the network, only equal names match.
    """

    def kind(name: str) -> str:
        return numbered(name)[0].replace("_", "").replace("convolution", "conv")

    in_network: dict[str, list[tuple[int, int]]] = {}
    for position, place in enumerate(expected):
        if is_automatic(place.name):
            in_network.setdefault(kind(place.name), []).append((numbered(place.name)[1], position))
    in_file: dict[str, list[tuple[int, SavedLayer]]] = {}
    for layer in saved:
        if is_automatic(layer.name):
            in_file.setdefault(kind(layer.name), []).append((numbered(layer.name)[1], layer))
    pairs: dict[int, SavedLayer] = {}
    for word, places in in_network.items():
        found = sorted(in_file.get(word, []), key=lambda item: item[0])
        if len(found) == len(places):
            for (_, position), (_, layer) in zip(sorted(places), found, strict=True):
                pairs[position] = layer
        else:
            for _, position in places:
                if expected[position].name in today:
                    pairs[position] = today[expected[position].name]
    return pairs
