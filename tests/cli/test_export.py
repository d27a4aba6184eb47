"""`tlkit export`: every format in its own runtime against the run, the proof, and what reads the file again."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from helpers.cases import one_in
from PIL import Image

from tlkit.exporting import compiled, resize
from tlkit.exporting.images import images_of_run
from tlkit.inference.compiler.onnx_writer import ONNXWriter
from tlkit.inference.exported.files import labels_text
from tlkit.inference.exported.manifest import Manifest
from tlkit.training.run_folder import read_run
from tlkit.utils.atomic_write import part_prefix

pytestmark = pytest.mark.usefixtures("toy")

FILES = {"onnx": "x.onnx", "openvino": "x.xml", "litert": "x.tflite", "saved_model": "x", "keras": "x.keras"}


@pytest.fixture(scope="module")
def run(textures, tlkit, tmp_path_factory, toy):
    folder = tmp_path_factory.mktemp("runs") / "run"
    ran = tlkit("finetune", textures, *toy, "--epochs", 3, "--finetune-epochs", 1, "-o", folder)
    assert ran.code == 0, ran.err
    return folder


def run_plainly(kind, path, images):
    """The documented lines of each runtime, without tlkit."""
    if kind == "onnx":
        session = onnxruntime.InferenceSession(path)
        return session.run(None, {session.get_inputs()[0].name: images})[0]
    if kind == "openvino":
        import openvino

        return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)[0]
    if kind == "litert":
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter(str(path)).get_signature_runner("serving_default")(images=images)["probabilities"]
    if kind == "saved_model":
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))
        return loaded.signatures["serving_default"](images=tf.constant(images))["probabilities"].numpy()
    import keras

    return np.asarray(keras.saving.load_model(path)(images))


def layers_of(run):
    """Names of all layers of a run's network, those of the base within it too."""
    with zipfile.ZipFile(run / "model.keras") as archive:
        config = archive.read("config.json").decode()
    return {*re.findall(r'"name": "([^"]+)"', config)}


def pixels(run, *files):
    size = json.loads((run / "run.json").read_text())["size"]
    return np.stack([np.asarray(Image.open(file).convert("RGB").resize(size, Image.BILINEAR)) for file in files])


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.every] if kind in ("keras", "openvino", "saved_model") else [])
        for kind in FILES
    ],
)
def test_a_format_in_its_own_runtime(run, textures, tlkit, tmp_path, kind):
    path = tmp_path / FILES[kind]
    ran = tlkit("export", run, "-o", path)
    assert ran.code == 0, ran.err
    result = json.loads(ran.out)
    assert (result["format"], result["precision"], result["images"]) == (kind, "float32", 8)
    assert result["top1_agreement"] == 1
    assert 0 <= result["max_difference"] <= (1e-5 if kind in ("onnx", "openvino") else 1e-4)
    assert result["accuracy"]["run"] == result["accuracy"]["exported"]
    assert result["bytes"] > 10_000
    assert result["ms_per_image"] > 0
    assert "Proved on 8 images" in ran.err

    files = sorted(textures.glob("validation/*/*.png"))[:7]
    expected = tlkit("predict", "--model", run, *files, "--format", "json").json
    of_file = [{found["name"]: found["probability"] for found in each["predictions"]} for each in expected]
    images = pixels(run, *files)
    for batch in (images[:1], images):
        got = run_plainly(kind, path, batch)
        assert got.dtype == np.float32
        for row, known in zip(got, of_file, strict=False):
            assert row == pytest.approx([known["brick"], known["grass"]], abs=1e-4)

    # nothing but the file is needed
    alone = tmp_path / "alone"
    alone.mkdir()
    for part in (path, *([path.with_suffix(".bin")] if kind == "openvino" else [])):
        (shutil.copytree if part.is_dir() else shutil.copy)(part, alone / part.name)
    again = tlkit("predict", "--model", alone / path.name, *files, "--format", "json").json
    for one, other in zip(expected, again, strict=True):
        assert [each["name"] for each in one["predictions"]] == [each["name"] for each in other["predictions"]]
        assert one["predictions"][0]["probability"] == pytest.approx(other["predictions"][0]["probability"], abs=1e-4)
    measured = tlkit("evaluate", alone / path.name, textures, "--format", "json").json
    assert measured["accuracy"] == result["accuracy"]["exported"]


def test_what_stands_beside_and_inside(run, tlkit, tmp_path):
    assert tlkit("export", run, "-o", tmp_path / "x.onnx").code == 0
    described = json.loads((tmp_path / "tlkit.json").read_text())
    assert described["classes"] == ["brick", "grass"]
    assert described["input"]["color"] == "RGB"
    assert described["resize"] == "squash"
    assert described["provenance"]["architecture"] == "toy"
    assert (tmp_path / "labels.txt").read_text() == "brick\ngrass\n"
    assert json.loads((tmp_path / "x.onnx.proof.json").read_text())["images"] == 8
    inside = {each.key: each.value for each in onnx.load(tmp_path / "x.onnx").metadata_props}
    assert json.loads(inside["tlkit"])["classes"] == ["brick", "grass"]

    assert tlkit("export", run, "-o", tmp_path / "x.xml").code == 0
    import openvino

    assert "brick" in openvino.Core().read_model(tmp_path / "x.xml").get_rt_info(["tlkit"]).value


@pytest.mark.every
def test_what_is_packed_with_litert_and_in_a_saved_model(run, tlkit, tmp_path):
    assert tlkit("export", run, "-o", tmp_path / "x.tflite").code == 0
    assert zipfile.ZipFile(tmp_path / "x.tflite").read("labels.txt") == b"brick\ngrass\n"
    assert tlkit("export", run, "-o", tmp_path / "x").code == 0
    assert (tmp_path / "x" / "assets" / "labels.txt").read_text() == "brick\ngrass\n"


def swap_colours(classifier, pixels, writer):
    return original(classifier, writer.slice(pixels, 3, 2, -4, -1), writer)


def leave_scale_out(classifier, pixels, writer):
    return original(classifier, writer.binary("divide", pixels, writer.constant(np.float32(255))), writer)


def shuffle_classes(classifier, pixels, writer):
    return writer.gather(original(classifier, pixels, writer), [1, 0], 1)


original = compiled._emit


@pytest.mark.parametrize("fault", [swap_colours, leave_scale_out, shuffle_classes])
@pytest.mark.parametrize("name", one_in(2, ["x.onnx", "x.xml"]))
def test_a_planted_fault_is_refused(run, tlkit, tmp_path, monkeypatch, fault, name):
    monkeypatch.setattr(compiled, "_emit", fault)
    ran = tlkit("export", run, "-o", tmp_path / name)
    assert ran.code == 1
    assert "is not given out: it differs by" in ran.err
    assert "Most different: " in ran.err
    assert not (tmp_path / name).exists()
    assert (tmp_path / f"{name}.rejected").exists()
    assert not list(tmp_path.glob("*.proof.json"))


weights = resize._weights


def test_a_resize_that_is_not_tlkits_own_is_refused(run, tlkit, tmp_path, monkeypatch):
    monkeypatch.setattr(resize, "_weights", lambda side, used, count, ops: weights(side, ops.binary(
        "minimum", used, ops.constant(float(count))), count, ops))  # fmt: skip
    ran = tlkit("export", run, "-o", tmp_path / "x.onnx", "--resize-inside")
    assert ran.code == 1
    assert "images that it resizes itself differ by" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["x.onnx.rejected"]


def lose_all(classifier, pixels, writer):
    zero = writer.constant(np.float32(0))
    return writer.binary("divide", writer.binary("multiply", original(classifier, pixels, writer), zero), zero)


@pytest.mark.parametrize(("fault", "says"), [(swap_colours, "differs by"), (lose_all, "not finite")])
def test_a_fault_does_not_hide_behind_a_smaller_precision(run, textures, tlkit, tmp_path, monkeypatch, fault, says):
    monkeypatch.setattr(compiled, "_emit", fault)
    check = ("--check", textures / "validation" / "brick")  # grey, and all of the first class
    ran = tlkit("export", run, "-o", tmp_path / "x.onnx", "--precision", "float16", *check)
    assert ran.code == 1
    assert f"is not given out: already in float32, it {'gives' if fault is lose_all else 'differs'}" in ran.err
    assert says in ran.err
    assert not list(tmp_path.iterdir())


def test_int8_is_measured_and_refused_where_it_costs_too_much(run, textures, tlkit, tmp_path, monkeypatch):
    small = tlkit("export", run, "-o", tmp_path / "small.onnx", "--precision", "int8", "--max-loss", "20%")
    assert small.code == 0, small.err
    result = json.loads(small.out)
    assert result["precision"] == "int8"
    assert 0 < result["max_difference"] < 0.2
    assert result["layers_in_float"]
    assert result["float32_ms_per_image"] > 0
    kinds = {node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert tlkit("predict", "--model", tmp_path / "small.onnx", textures / "validation").code == 0

    from tlkit.exporting.quantize_onnx import ONNXQuantizer

    def spoil(quantizer, target, in_float):
        model = onnx.load(next(target.parent.glob("float32.onnx")))
        last = next(node for node in reversed(model.graph.node) if node.op_type == "MatMul")
        kernel = next(each for each in model.graph.initializer if each.name == last.input[1])
        turned = -onnx.numpy_helper.to_array(kernel)
        kernel.CopyFrom(onnx.numpy_helper.from_array(turned, kernel.name))
        onnx.save(model, target)

    monkeypatch.setattr(ONNXQuantizer, "write", spoil)
    ran = tlkit("export", run, "-o", tmp_path / "bad.onnx", "--precision", "int8")
    assert ran.code == 1
    assert "--precision int8 costs" in ran.err
    assert "more than 1%" in ran.err
    assert "in float" in ran.err
    assert not (tmp_path / "bad.onnx").exists()


@pytest.mark.every
@pytest.mark.parametrize(("name", "precision"), [("x.onnx", "float16"), ("x.xml", "float16"), ("x.tflite", "float16"),
                                                 ("x.xml", "int8"), ("x.tflite", "int8")])  # fmt: skip
def test_smaller_files_of_every_format(run, textures, tlkit, tmp_path, name, precision):
    whole = json.loads(tlkit("export", run, "-o", tmp_path / f"whole-{name}").out)
    ran = tlkit("export", run, "-o", tmp_path / name, "--precision", precision, "--max-loss", "20%")
    assert ran.code == 0, ran.err
    result = json.loads(ran.out)
    assert result["max_difference"] < 0.2
    if precision == "float16":
        assert result["bytes"] < whole["bytes"]
    else:
        assert {*result["layers_in_float"]} <= layers_of(run)
        images = pixels(run, *sorted(textures.glob("validation/*/*"))[:7])
        kind = "litert" if name == "x.tflite" else "openvino"
        each = [run_plainly(kind, tmp_path / name, images[number : number + 1])[0] for number in range(7)]
        np.testing.assert_allclose(run_plainly(kind, tmp_path / name, images), each, atol=2e-6)


def test_images_that_are_named_and_images_without_labels(run, textures, tlkit, tmp_path):
    ran = tlkit("export", run, "-o", tmp_path / "x.onnx", "--check", textures)
    assert json.loads(ran.out)["checked_on"] == str(textures)
    loose = tmp_path / "loose"
    loose.mkdir()
    for number, file in enumerate(sorted(textures.glob("train/*/*.png"))[:3]):
        shutil.copy(file, loose / f"{number}.png")
    ran = tlkit("export", run, "-o", tmp_path / "y.onnx", "--check", loose)
    assert (json.loads(ran.out)["images"], json.loads(ran.out)["accuracy"]) == (3, None)


def test_a_run_whose_images_are_gone_is_proved_on_patterns_and_says_so(run, textures, tlkit, tmp_path):
    moved = shutil.copytree(run, tmp_path / "run")
    record = json.loads((moved / "run.json").read_text())
    record["arguments"]["data"] = str(tmp_path / "gone")
    (moved / "run.json").write_text(json.dumps(record))
    ran = tlkit("export", moved, "-o", tmp_path / "x.onnx")
    assert ran.code == 0, ran.err
    assert "gone" in ran.err
    assert json.loads(ran.out)["checked_on"] == "patterns made by tlkit"
    assert "--check DATA" in json.loads(ran.out)["notes"][0]


def test_evaluate_compares_a_run_with_what_it_became(run, textures, tlkit, tmp_path):
    assert tlkit("export", run, "-o", tmp_path / "x.onnx").code == 0
    found = tlkit("evaluate", run, tmp_path / "x.onnx", textures, "--format", "json").json["comparison"]
    assert found["top1_agreement"] == 1
    assert found["max_difference"] < 1e-5


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("-o", "x.bin"), "does not tell the format"),
        (("-o", "x.onnx", "--format", "litert"), "ends in .tflite"),
        (("-o", "x.keras", "--precision", "int8"), "--precision int8 is for onnx"),
        (("-o", "x.onnx", "--max-loss", "much"), "--max-loss is much"),
        (("-o", "x.onnx", "--max-loss", "1"), "--max-loss is 1; expected a share such as 1%"),
        (("-o", "X.XML"), "let PATH end in .onnx, .xml"),
        (("-o", "x.onnx", "--check", "nothing"), "There is no data folder nothing"),
        (("-o", "x.onnx", "--check", __file__), f"None of the images can be read: {__file__}."),
        (("-o", "missing/x.onnx"), "There is no folder missing"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(run, tlkit, tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    ran = tlkit("export", run, *options)
    assert ran.code in (1, 2)
    assert says in ran.err
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(run, tlkit, tmp_path):
    (tmp_path / "x.onnx").write_text("mine")
    assert "exists" in tlkit("export", run, "-o", tmp_path / "x.onnx").err
    assert (tmp_path / "x.onnx").read_text() == "mine"
    (tmp_path / "tlkit.json").write_text(json.dumps({"classes": ["cat", "dog"]}))
    assert "other classes" in tlkit("export", run, "-o", tmp_path / "y.onnx").err
    assert tlkit("export", run, "-o", tmp_path / "y.onnx", "--force").code == 0
    assert "in a run" in tlkit("export", run, "-o", run / "x.onnx").err


def test_what_stands_beside_is_kept(run, tlkit, tmp_path):
    (tmp_path / "labels.txt").write_text("mine\n")
    assert "labels.txt has other class names" in tlkit("export", run, "-o", tmp_path / "x.onnx").err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine\n"]
    (tmp_path / "labels.txt").unlink()
    assert tlkit("export", run, "-o", tmp_path / "x.onnx").code == 0
    assert tlkit("export", run, "-o", tmp_path / "x.xml").code == 0  # classes and input are the same
    before = (tmp_path / "tlkit.json").read_bytes()
    assert "another input" in tlkit("export", run, "-o", tmp_path / "y.onnx", "--resize-inside").err
    assert (tmp_path / "tlkit.json").read_bytes() == before


def test_the_source_is_never_overwritten(run, tlkit, tmp_path):
    shutil.copy(run / "model.keras", tmp_path / "m.keras")
    ran = tlkit("export", tmp_path / "m.keras", "-o", tmp_path / "m.keras", "--force")
    assert "is what is to be exported" in ran.err
    assert (tmp_path / "m.keras").read_bytes() == (run / "model.keras").read_bytes()


def test_where_a_network_is_all_that_belongs_to_it_is(run, tlkit, tmp_path, monkeypatch):
    from tlkit.exporting import place

    def interrupt(part, target):
        seen.update(path.name for path in tmp_path.iterdir() if not path.name.startswith("."))
        raise KeyboardInterrupt

    seen = set()
    monkeypatch.setattr(place, "_replace", interrupt)
    assert tlkit("export", run, "-o", tmp_path / "x.xml").code == 130
    assert seen == {"tlkit.json", "labels.txt", "x.xml.proof.json", "x.xml.proof.html"}
    assert {path.name for path in tmp_path.iterdir()} == seen


def test_a_folder_that_a_killed_export_left_is_removed(run, tlkit, tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = tmp_path / re.sub(r"-\d+-$", f"-{gone.pid}-abc", part_prefix())
    left.mkdir()
    (left / "x.onnx").touch()
    assert tlkit("export", run, "-o", tmp_path / "x.onnx").code == 0
    assert not left.exists()


def test_images_that_moved_since_the_training(textures, tlkit, tmp_path, toy):
    data = shutil.copytree(textures, tmp_path / "data")
    assert tlkit("finetune", data, *toy, "--recipe", "fast", "-o", tmp_path / "run").code == 0
    for split in ("train", "validation"):
        (data / split / "a_new_class").mkdir()
    (data / "validation" / "brick" / "0.png").rename(data / "validation" / "a_new_class" / "0.png")
    Image.new("RGB", (32, 32)).save(data / "train" / "a_new_class" / "1.png")
    ran = tlkit("export", tmp_path / "run", "-o", tmp_path / "x.onnx")
    assert ran.code == 0, ran.err
    assert "does not know their class: 1 image" in ran.err
    assert json.loads(ran.out)["images"] == 7


@pytest.mark.every
def test_a_label_that_is_gone_since_the_training_is_given_to_no_image(textures, tlkit, tmp_path, toy):
    files = sorted(textures.rglob("*.png"))
    rows = {str(file): [file.parent.name, *(["odd"] if file.stem in "02" else [])] for file in files}

    def write(labels):
        (tmp_path / "t.csv").write_text("path,labels\n" + "".join(f"{name},{labels(each)}\n"
                                                                 for name, each in rows.items()))  # fmt: skip

    write("|".join)
    run = tmp_path / "run"
    ran = tlkit("finetune", tmp_path / "t.csv", "--multi-label", *toy, "--recipe", "fast", "-o", run)
    assert ran.code in (0, 3), ran.err
    write(lambda each: each[0])
    record = read_run(run)
    preprocessor = Manifest(classes=record.classes, size=record.size).preprocessor
    found = images_of_run(run, record, "validation", preprocessor, 100, resize_inside=False)
    expected = [[name == Path(file).parent.name for name in record.classes] for file in found.files]
    assert (found.labels == expected).all()


def test_an_image_that_is_a_line(run, tlkit, tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (1, 700), "red").save(tmp_path / "images" / "line.png")
    ran = tlkit("export", run, "-o", tmp_path / "x.onnx", "--check", tmp_path / "images")
    assert ran.code == 0, ran.err


def test_class_names_with_any_line_break_are_one_line(run, tmp_path):
    names = ("a\nb", "c\rd", "e\u2028f", "plain", "Grün")
    text = labels_text(Manifest(classes=names, size=(8, 8)))
    assert text.splitlines() == ["a\\nb", "c\\rd", "e\\u2028f", "plain", "Grün"]


def test_a_class_name_that_is_no_text_is_refused(run, tlkit, tmp_path):
    changed = shutil.copytree(run, tmp_path / "run")
    record = (changed / "run.json").read_text()
    (changed / "run.json").write_text(record.replace('"brick"', r'"caf\udce9"'))
    for name in ("x.onnx", "x.xml"):
        ran = tlkit("export", changed, "-o", tmp_path / name)
        assert (ran.code, "is not UTF-8" in ran.err) == (2, True)


@pytest.mark.parametrize("layers", one_in(3, [0, 1, 2]))
def test_int8_of_few_layers(tlkit, tmp_path, textures, layers):
    import keras

    images = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu")(images) if layers == 2 else images
    x = keras.layers.GlobalAveragePooling2D()(x)
    keras.Model(images, keras.layers.Dense(3)(x) if layers else x).save(tmp_path / "m.keras")
    options = ("--preprocess", "unit", "--precision", "int8", "--calibrate", textures, "--max-loss", "90%")
    ran = tlkit("export", tmp_path / "m.keras", "-o", tmp_path / "x.onnx", *options)
    if layers == 0:
        assert (ran.code, "nothing to quantize" in ran.err) == (1, True)
        return
    assert ran.code == 0, ran.err
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(tmp_path / "x.onnx").graph.node}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"size": [64, 64]}, "does not run: .*dimensions"),
        ({"channels": 1}, "does not run"),
        ({"thresholds": ["x", "y"]}, "is damaged"),
        ({"provenance": [1]}, "is damaged"),
        ({"classes": "ab"}, "is damaged"),
    ],
)
def test_a_description_that_does_not_fit_its_file(run, textures, tlkit, tmp_path, values, says):
    assert tlkit("export", run, "-o", tmp_path / "x.onnx").code == 0
    model = onnx.load(tmp_path / "x.onnx")
    (described,) = (each for each in model.metadata_props if each.key == "tlkit")
    described.value = json.dumps({**json.loads(described.value), **values})
    onnx.save(model, tmp_path / "other.onnx")
    for command in (("predict", "--model"), ("evaluate",)):
        ran = tlkit(*command, tmp_path / "other.onnx", textures)
        assert ran.code == 1
        assert re.search(f"other.onnx.* {says}", ran.err), ran.err


def test_weights_of_openvino_that_are_missing_are_named(run, tlkit, tmp_path, cat):
    assert tlkit("export", run, "-o", tmp_path / "x.xml").code == 0
    (tmp_path / "x.bin").unlink()
    assert "x.bin is missing beside x.xml" in tlkit("predict", "--model", tmp_path / "x.xml", cat).err


def test_files_of_others_are_told_apart(tlkit, tmp_path, cat):
    writer = ONNXWriter()
    model = writer.model([writer.to_float("images")], input_shape=["batch", 8, 8, 3],
                         output=("probabilities", ["batch", 8, 8, 3]), name="x")  # fmt: skip
    onnx.save(model, tmp_path / "other.onnx")
    assert "was not written by `tlkit export`" in tlkit("predict", "--model", tmp_path / "other.onnx", cat).err
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    assert "cannot be read as onnx" in tlkit("predict", "--model", tmp_path / "damaged.onnx", cat).err


def test_a_missing_package_is_named(run, tlkit, tmp_path, monkeypatch):
    import tlkit.utils.extras as extras

    monkeypatch.setattr(extras, "find_spec", lambda name: name == "tensorflow" or None)
    ran = tlkit("export", run, "-o", tmp_path / "x.onnx")
    assert "`tlkit export` needs onnx, onnxruntime, which are not installed" in ran.err
    assert "pip install 'tlkit[onnx]'" in ran.err


def plainly(path, images):
    return onnxruntime.InferenceSession(path).run(None, {"images": images})[0]


def test_opencv_reads_the_file(run, textures, tlkit, tmp_path):
    cv2 = pytest.importorskip("cv2")
    assert tlkit("export", run, "-o", tmp_path / "x.onnx").code == 0
    images = pixels(run, *sorted(textures.glob("validation/*/*.png"))[:1])
    network = cv2.dnn.readNetFromONNX(str(tmp_path / "x.onnx"))
    network.setInput(images)
    assert network.forward() == pytest.approx(plainly(tmp_path / "x.onnx", images), abs=1e-5)


NODE = """
const [ort, fs] = [require(process.argv[2]), require('fs')]
ort.InferenceSession.create(fs.readFileSync(process.argv[3])).then(async session => {
  const images = new ort.Tensor('uint8', new Uint8Array(fs.readFileSync(process.argv[4])), JSON.parse(process.argv[5]))
  const { probabilities } = await session.run({ images })
  console.log(JSON.stringify(Array.from(probabilities.data)))
})
"""


@pytest.mark.every
@pytest.mark.parametrize("package", ["onnxruntime-node", "onnxruntime-web"])
def test_javascript_reads_the_file(run, textures, tlkit, tmp_path, package):
    """What browsers run is WebAssembly, which Node.js runs too."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm")
    install = ("npm", "install", "--silent", "--ignore-scripts", package)
    if subprocess.run(install, cwd=tmp_path, timeout=300, check=False).returncode:
        pytest.skip(f"npm cannot install {package} here")
    assert tlkit("export", run, "-o", tmp_path / "x.onnx").code == 0
    images = pixels(run, *sorted(textures.glob("validation/*/*.png"))[:2])
    images.tofile(tmp_path / "images")
    (tmp_path / "run.js").write_text(NODE)
    command = ("node", "run.js", package, "x.onnx", "images", json.dumps(images.shape))
    output = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=True).stdout
    assert json.loads(output) == pytest.approx(plainly(tmp_path / "x.onnx", images).ravel().tolist(), abs=1e-6)


MEDIAPIPE = """
import json, sys
from mediapipe import Image
from mediapipe.tasks.python import BaseOptions, vision
options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=sys.argv[1]))
with vision.ImageClassifier.create_from_options(options) as classifier:
    found = classifier.classify(Image.create_from_file(sys.argv[2])).classifications[0].categories
print(json.dumps({each.category_name: each.score for each in found}))
"""


@pytest.mark.every
def test_mediapipe_reads_the_file_with_its_class_names(run, tlkit, tmp_path, chelsea):
    """In an environment of its own: it brings another OpenCV."""
    python = tmp_path / "venv" / "bin" / "python"
    for command in (
        (sys.executable, "-m", "venv", tmp_path / "venv"),
        (python, "-m", "pip", "install", "--quiet", "mediapipe==1.2.3"),
        (python, "-c", "from mediapipe.tasks.python import vision"),
    ):
        if subprocess.run(command, timeout=300, check=False).returncode:
            pytest.skip("MediaPipe cannot be installed here")
    size = json.loads((run / "run.json").read_text())["size"]
    Image.fromarray(chelsea).resize(size, Image.BILINEAR).save(tmp_path / "cat.png")
    (found,) = tlkit("predict", "--model", run, tmp_path / "cat.png", "--format", "json").json
    expected = {each["name"]: each["probability"] for each in found["predictions"]}
    for name, options, apart in (("x.tflite", (), 1e-5), ("y.tflite", ("--precision", "int8"), 0.1)):
        assert tlkit("export", run, "-o", tmp_path / name, *options).code == 0
        ran = subprocess.run(
            (python, "-c", MEDIAPIPE, name, "cat.png"), cwd=tmp_path, capture_output=True, text=True, timeout=100
        )
        if "libGLES" in ran.stderr or "libEGL" in ran.stderr:
            pytest.skip("MediaPipe needs libgles2 and libegl1")
        assert json.loads(ran.stdout) == pytest.approx(expected, abs=apart), ran.stderr


@pytest.mark.parametrize("name", one_in(2, ["x.onnx", "x.xml"]))
def test_a_file_that_resizes_takes_images_of_any_size(run, textures, tlkit, tmp_path, name, chelsea):
    ran = tlkit("export", run, "-o", tmp_path / name, "--resize-inside")
    assert ran.code == 0, ran.err
    assert 0 <= json.loads(ran.out)["resize_difference"] < 0.02
    assert json.loads((tmp_path / "tlkit.json").read_text())["resize_inside"] is True
    got = run_plainly("onnx" if name == "x.onnx" else "openvino", tmp_path / name, chelsea[None])
    Image.fromarray(chelsea).save(tmp_path / "cat.png")
    found = tlkit("predict", "--model", tmp_path / name, tmp_path / "cat.png", "--format", "json").json[0]
    of_class = {each["name"]: each["probability"] for each in found["predictions"]}
    assert got[0] == pytest.approx([of_class["brick"], of_class["grass"]], abs=0.02)


@pytest.fixture(scope="module")
def cropped(textures, tlkit, tmp_path_factory, toy):
    folder = tmp_path_factory.mktemp("cropped") / "run"
    ran = tlkit("finetune", textures, *toy, "--recipe", "fast", "--resize", "crop", "-o", folder)
    assert ran.code == 0, ran.err
    return folder


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.onnx", ()),
        *(pytest.param(name, options, marks=pytest.mark.every) for name, options in (
            ("x.xml", ()), ("x.tflite", ()), ("x", ()), ("x.onnx", ("--precision", "float16")),
            ("x.onnx", ("--precision", "int8", "--max-loss", "20%")),
            ("x.tflite", ("--precision", "int8", "--max-loss", "20%")),
        )),
    ],
)  # fmt: skip
def test_a_file_that_crops_is_given_whole_images(cropped, textures, tlkit, tmp_path, name, options, chelsea):
    ran = tlkit("export", cropped, "-o", tmp_path / name, "--resize-inside", *options)
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["resize_difference"] < 0.02
    Image.fromarray(chelsea).save(tmp_path / "cat.png")
    for file in (tmp_path / "cat.png", *sorted(textures.glob("validation/*/*"))[::3]):
        of_file, of_run = (
            {each["name"]: each["probability"] for each in tlkit(
                "predict", "--model", model, file, "--format", "json").json[0]["predictions"]}
            for model in (tmp_path / name, cropped)
        )  # fmt: skip
        assert of_file == pytest.approx(of_run, abs=0.05 if "int8" in options else 0.005)
    assert tlkit("evaluate", tmp_path / name, textures).code == 0


@pytest.mark.every
@pytest.mark.parametrize("name", ["x", "x.tflite"])
def test_a_file_of_tensorflow_that_resizes(run, tlkit, tmp_path, name):
    ran = tlkit("export", run, "-o", tmp_path / name, "--resize-inside")
    assert ran.code == 0, ran.err
    assert 0 <= json.loads(ran.out)["resize_difference"] < 0.02


@pytest.mark.parametrize(
    ("kind", "file", "backend"),
    [
        ("onnx", "model.onnx", "onnxruntime"),
        pytest.param("openvino", "model.xml", "openvino", marks=pytest.mark.every),
        pytest.param("saved_model", "model.savedmodel", "tensorflow", marks=pytest.mark.every),
    ],
)
def test_the_layout_of_triton(run, tlkit, tmp_path, textures, kind, file, backend):
    from google.protobuf import text_format
    from tritonclient.grpc.model_config_pb2 import TYPE_FP32, TYPE_UINT8, ModelConfig

    ran = tlkit("export", run, "-o", tmp_path / "textures", "--format", kind, "--layout", "triton")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["path"] == str(tmp_path / "textures" / "1" / file)
    config = text_format.Parse((tmp_path / "textures" / "config.pbtxt").read_text(), ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == ("textures", backend, 32)
    ((given,), (found,)) = config.input, config.output
    assert (given.name, given.data_type, list(given.dims)) == ("images", TYPE_UINT8, [32, 32, 3])
    assert (found.name, found.data_type, list(found.dims)) == ("probabilities", TYPE_FP32, [2])
    assert found.label_filename == "labels.txt"
    assert (tmp_path / "textures" / "labels.txt").read_text() == "brick\ngrass\n"
    assert tlkit("predict", "--model", tmp_path / "textures" / "1" / file, textures / "validation").code == 0


@pytest.mark.parametrize(
    ("end", "classes"), one_in(2, [("logits", 3), ("one probability", 2), ("several", 3), ("one logit", 2)])
)
def test_the_end_of_a_model_becomes_probabilities(tlkit, tmp_path, end, classes, cat):
    import keras

    keras.utils.set_random_seed(1)
    images = keras.Input((16, 16, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    last = {"logits": (3, None), "one probability": (1, "sigmoid"), "one logit": (1, None), "several": (3, "sigmoid")}
    keras.Model(images, keras.layers.Dense(last[end][0], last[end][1])(x)).save(tmp_path / "model.h5")
    ran = tlkit("export", tmp_path / "model.h5", "-o", tmp_path / "x.onnx", "--check", cat.parent)
    assert ran.code == 0, ran.err
    (expected,) = tlkit("predict", "--model", tmp_path / "model.h5", cat, "--format", "json").json
    (got,) = tlkit("predict", "--model", tmp_path / "x.onnx", cat, "--format", "json").json
    assert len(got["predictions"]) == classes
    for one, other in zip(expected["predictions"], got["predictions"], strict=True):
        assert one["name"] == other["name"]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)
