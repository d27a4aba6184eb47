"""Weights files into models: all or nothing, never silently nothing."""

import h5py
import numpy as np
import pytest

from tlkit.architectures.build import build
from tlkit.architectures.pretrained import build_pretrained, load_weights
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.errors import WeightsError

ROW = get_architecture("mobilenetv2")


def write_keras2(path, model, *, inside=None):
    """A weights file as Keras 2 wrote it: groups by layer, names as attributes, those that train first."""
    with h5py.File(path, "w") as file:
        root = file.create_group(inside) if inside else file
        root.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        root.attrs["keras_version"], root.attrs["backend"] = b"2.4.0", b"tensorflow"
        for layer in model.layers:
            group = root.create_group(layer.name)
            variables = [*layer.trainable_weights, *layer.non_trainable_weights]
            names = [f"{layer.name}/{variable.name}:0" for variable in variables]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, variable in zip(names, variables, strict=True):
                group[name] = variable.numpy()
    return path


@pytest.fixture(scope="module")
def model():
    return build(ROW, include_top=False, size=(32, 32))


def equal(left, right):
    return all(np.array_equal(a, b) for a, b in zip(left.get_weights(), right.get_weights(), strict=True))


@pytest.mark.parametrize(
    "kind",
    [
        "keras2.h5",
        *(
            pytest.param(kind, marks=pytest.mark.every)
            for kind in ("full.h5", "keras3.weights.h5", "keras3-renamed.bin")
        ),
    ],
)
def test_what_was_saved_is_loaded(tmp_path, model, kind):
    path = tmp_path / kind
    if kind.startswith("keras3"):
        model.save_weights(tmp_path / "saved.weights.h5")
        (tmp_path / "saved.weights.h5").rename(path)
    else:
        write_keras2(path, model, inside="model_weights" if kind == "full.h5" else None)
    loaded = build_pretrained(ROW, weights=str(path), include_top=False, size=(32, 32))
    assert equal(loaded.model, model)
    assert loaded.digest.startswith("sha256:")


def test_published_files_load_by_order_from_a_cache(tmp_path, monkeypatch, model):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    write_keras2(tmp_path / "models" / ROW.weights_file(include_top=False).name, model)
    assert equal(build_pretrained(ROW, include_top=False, size=(32, 32)).model, model)


def test_a_file_of_another_model_is_refused(tmp_path, model):
    path = write_keras2(tmp_path / "v2.h5", model)
    with pytest.raises(WeightsError, match=r"v2\.h5 does not load into mobilenet: .*and \d+ layers more"):
        build_pretrained(get_architecture("mobilenet"), weights=str(path), include_top=False, size=(32, 32))


def test_another_shape_is_refused_and_nothing_is_set(tmp_path, model):
    path = write_keras2(tmp_path / "w.h5", model)
    with h5py.File(path, "r+") as file:
        del file["Conv_1/Conv_1/kernel:0"]
        file["Conv_1/Conv_1/kernel:0"] = np.zeros((1, 1, 320, 7), np.float32)
    with pytest.raises(WeightsError, match=r"layer Conv_1: kernel is \(1, 1, 320, 7\).*and \(1, 1, 320, 1280\) here"):
        build_pretrained(ROW, weights=str(path), include_top=False, size=(32, 32))


@pytest.mark.parametrize(
    "damage", ["external link", "soft link", "soft link on the way", "missing", "external storage", "virtual"]
)
def test_a_file_that_points_elsewhere_is_refused(tmp_path, model, damage):
    path = write_keras2(tmp_path / "w.h5", model)
    with h5py.File(path, "r+") as file:
        name = "Conv_1/Conv_1/kernel:0"
        del file[name]
        if damage == "external link":
            file[name] = h5py.ExternalLink("/etc/passwd", "/x")
        elif damage == "soft link":
            file[name] = h5py.SoftLink("/Conv1/Conv1/kernel:0")
        elif damage == "soft link on the way":
            file.move("Conv_1/Conv_1", "elsewhere")
            file["elsewhere/kernel:0"] = np.zeros((1, 1, 320, 1280), np.float32)
            file["Conv_1/Conv_1"] = h5py.SoftLink("/elsewhere")
        elif damage == "virtual":
            layout = h5py.VirtualLayout((1, 1, 320, 1280), "f4")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", (1, 1, 320, 1280))
            file.create_virtual_dataset(name, layout)
        elif damage == "external storage":
            file.create_dataset(name, (1, 1, 320, 1280), "f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])
    with pytest.raises(WeightsError, match="not inside it|which is not followed|outside"):
        build_pretrained(ROW, weights=str(path), include_top=False, size=(32, 32))


@pytest.mark.parametrize("kind", ["strings", "huge"])
def test_what_is_no_tensor_is_refused_before_anything_is_read_or_set(tmp_path, model, kind):
    path = write_keras2(tmp_path / "w.h5", model)
    name = "Conv_1/Conv_1/kernel:0"
    with h5py.File(path, "r+") as file:
        del file[name]
        if kind == "strings":
            file[name] = np.full((1, 1, 320, 1280), b"x")
        else:
            file.create_dataset(name, (50_000_000, 50_000_000), "f4", chunks=(1000, 1000))
    target = build(ROW, include_top=False, size=(32, 32))
    before = target.get_weights()
    with pytest.raises(WeightsError, match=r"does not hold numbers|kernel is \(50000000, 50000000\) in the file"):
        load_weights(target, path, ROW)
    assert all(np.array_equal(left, right) for left, right in zip(before, target.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"words", "not an HDF5"),
        (b"<html>", "web page"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 99, "open"),
    ],
)
def test_what_is_no_weights_file_is_refused(tmp_path, content, says):
    (tmp_path / "w.h5").write_bytes(content)
    with pytest.raises(WeightsError, match=says):
        build_pretrained(ROW, weights=str(tmp_path / "w.h5"), include_top=False)


def test_a_missing_file_is_refused():
    with pytest.raises(WeightsError, match="no weights file nothing.h5") as caught:
        build_pretrained(ROW, weights="nothing.h5", include_top=False)
    assert "imagenet, none" in caught.value.hint


def test_keras3_weights_of_another_model_are_refused(tmp_path, model):
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(WeightsError, match="a.weights.h5 does not load into mobilenet"):
        build_pretrained(get_architecture("mobilenet"), weights=str(tmp_path / "a.weights.h5"), include_top=False)


def test_the_pytorch_file_of_another_lite_is_refused(tmp_path):
    from tlkit.downloads.locate import locate

    path = locate(get_architecture("efficientnetlite1").with_top)
    with pytest.raises(WeightsError, match="fit|nothing"):
        build_pretrained(get_architecture("efficientnetlite2"), weights=str(path), include_top=False)


FAMILIES = [
    "vgg16",
    *(
        pytest.param(name, marks=pytest.mark.every)
        for name in ("efficientnetb0", "mobilenetv2", "mobilenetv3small", "inceptionv3", "resnet50", "mobilenet",
                     "densenet121", "resnet50v2", "xception", "inceptionresnetv2", "nasnetmobile", "efficientnetv2b0",
                     "convnexttiny")
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_published_weights_give_the_numbers_that_keras_gives(name, tmp_path, monkeypatch):
    """Keras's builder with weights="imagenet" against tlkit's, both given one and the same file."""
    from tlkit.backend import keras

    row = get_architecture(name)
    shape = (96, 96, 3)
    donor = build(row, include_top=False, size=shape[:2])
    random = np.random.default_rng(0)
    donor.set_weights([random.uniform(0.5, 1.5, weight.shape) * 0.1 for weight in donor.get_weights()])
    published = row.weights_file(include_top=False, size=shape[:2])
    (tmp_path / "models").mkdir()
    path = write_keras2(tmp_path / "models" / published.name, donor)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("tlkit.downloads.locate.digest_problem", lambda *args, **options: None)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *args, **kwargs: str(path))

    reference = getattr(keras.applications, row.title)(include_top=False, weights="imagenet", input_shape=shape)
    ours = build_pretrained(row, include_top=False, size=shape[:2]).model
    assert [layer.name.rstrip("_0123456789") for layer in ours.layers] == [
        layer.name.rstrip("_0123456789") for layer in reference.layers
    ]
    pixels = random.uniform(0, 1, (1, *shape)).astype(np.float32)
    expected, got = reference(pixels).numpy(), ours(pixels).numpy()
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
