"""What is built, against the layer tables that are shipped."""

import gc

import pytest

from tlkit.architectures.build import build
from tlkit.architectures.labels import published_labels
from tlkit.architectures.layer_tables import describe, layers_of
from tlkit.architectures.registry.lookup import all_architectures, get_architecture

# A member of each way to build one; the others, seconds each, by `make test-all`.
FEW = {"convnexttiny", "efficientnetlite0", "inceptionv3", "mobilenetv3small", "musictaggercrnn", "vgg16"}
ENTRIES = [
    pytest.param(entry, id=entry.name, marks=[] if entry.name in FEW else [pytest.mark.every])
    for entry in all_architectures()
]


def frontier(model, frozen):
    """Names of the tensors that go from the first ``frozen`` layers to the layers above them.

    What is computed from frozen layers alone by operations that are no layers (ConvNeXt adds with ``+``) counts
    as frozen.
    """
    below = {layer.name for layer in model.layers[:frozen]}
    layers = {layer.name for layer in model.layers}
    crossing = set()
    for operation in model.operations:
        sources = {
            tensor._keras_history.operation.name for node in operation._inbound_nodes for tensor in node.input_tensors
        }
        if operation.name in below:
            continue
        if operation.name not in layers and sources <= below:
            below.add(operation.name)
        else:
            crossing |= sources & below
    return crossing


def compared(layer):
    return layer.kind, layer.shape, layer.weights, layer.groups, layer.initializers


@pytest.mark.parametrize("entry", ENTRIES)
def test_keras_builds_what_the_layer_table_lists(entry):
    model = build(entry, include_top=True, initialize=False)
    expected = layers_of(entry, include_top=True)
    built = describe(model)
    # top layers stand last in the table; where the base alone has another end, the order may differ
    by_name = {layer.name: compared(layer) for layer in expected}
    assert {layer.name: compared(layer) for layer in built} == by_name
    assert model.count_params() == entry.parameters
    assert model.output_shape == (None, len(published_labels(entry.labels)))
    del model
    gc.collect()


@pytest.mark.parametrize(
    "name",
    [
        "efficientnetlite0",
        "vgg16",
        "inceptionv3",
        pytest.param("mobilenetv2", marks=pytest.mark.every),
        "convnexttiny",
        pytest.param("nasnetmobile", marks=pytest.mark.every),
        "musictaggercrnn",
    ],
)
def test_base_alone_and_its_blocks(name):
    entry = get_architecture(name)
    model = build(entry, include_top=False)
    expected = layers_of(entry, include_top=False)
    assert [(layer.name, layer.kind, layer.shape, layer.weights) for layer in describe(model)] == [
        (layer.name, layer.kind, layer.shape, layer.weights) for layer in expected
    ]
    names = [layer.name for layer in expected]
    for block in entry.blocks[:-1]:
        crossing = frontier(model, names.index(block) + 1)
        if name.startswith("nasnet"):  # a cell reads the two cells before it, the first as two views
            assert block in crossing
            assert len(crossing) <= 3
        elif name.startswith("convnext"):  # the block's last layer, then + of its input
            assert len(crossing) == 1
        else:
            assert crossing == {block}


@pytest.mark.every
def test_automatic_names_do_not_depend_on_what_was_built_before():
    entry = get_architecture("inceptionv3")
    first = [layer.name for layer in build(entry, include_top=False).layers]
    assert [layer.name for layer in build(entry, include_top=False).layers] == first
    assert "conv2d_93" in first


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, marks=pytest.mark.every if entry.name == "inceptionresnetv2" else ())
        for entry in all_architectures()
        if (entry.min_size > 32 and not entry.fixed_shape) or entry.name == "vgg16"
    ],
    ids=lambda entry: entry.name,
)
def test_the_min_size_works(entry):
    model = build(entry, include_top=False, size=(entry.min_size, entry.min_size))
    assert min(model.output_shape[1:3]) >= 1
