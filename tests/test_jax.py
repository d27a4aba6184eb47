"""Every command on Keras's JAX backend, in processes of their own without TensorFlow, against this process's."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.program import environment, invoke

# as where it is not installed
WITHOUT_TENSORFLOW = (
    "import runpy, sys\n"
    "class Without:\n"
    "    def find_spec(self, name, path=None, target=None):\n"
    "        if name == 'tensorflow':\n"
    "            raise ModuleNotFoundError(name)\n"
    "sys.meta_path.insert(0, Without())\n"
    "sys.argv[0] = 'tlkit'\n"
    "runpy.run_module('helpers.program', run_name='__main__')\n"
)
TRAINING = ("--arch", "toy", "--epochs", 2, "--finetune-epochs", 2, "--batch-size", 4, "--seed", 3)


def jax(*arguments, code=0, **env):
    """Run the program on JAX, and return what it wrote to stdout."""
    words = [sys.executable, "-c", WITHOUT_TENSORFLOW, *map(str, arguments)]
    done = subprocess.run(
        words, env=environment(**({"KERAS_BACKEND": "jax"} | env)), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if not code else done.stderr


def history(run):
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[float(row[name]) for name in ("loss", "accuracy", "val_loss", "val_accuracy")] for row in rows])


@pytest.fixture(scope="module")
def runs(toy, textures, tmp_path_factory):
    """A run trained on each backend."""
    folder = tmp_path_factory.mktemp("runs")
    jax("finetune", textures, *TRAINING, "-o", folder / "jax")
    ran = invoke("finetune", textures, *TRAINING, "-o", folder / "tensorflow")
    assert ran.code == 0, ran.err
    return {name: folder / name for name in ("tensorflow", "jax")}


def test_a_network_gives_the_same_on_jax(tlkit, toy, cat):
    words = "predict", cat, "--arch", "toy", "--engine", "keras", "--format", "json"
    (on_jax,), (here,) = json.loads(jax(*words)), tlkit(*words).json
    for one, other in zip(on_jax["predictions"], here["predictions"], strict=True):
        assert one["label"] == other["label"]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)


def test_a_network_that_openvino_has_to_convert_runs_on_jax(tlkit, cat, tmp_path):
    import keras

    keras.utils.set_random_seed(1)
    images = keras.Input((16, 16, 3))
    x = keras.layers.LSTM(5, return_state=True)(keras.layers.Rescaling(1 / 255)(images)[..., 0])[1]
    keras.Model(images, keras.layers.Dense(3, activation="softmax")(x)).save(tmp_path / "x.keras")
    words = "predict", cat, "--model", tmp_path / "x.keras", "--format", "json"
    (on_jax,), (here,) = json.loads(jax(*words)), tlkit(*words, "--engine", "keras").json
    for one, other in zip(on_jax["predictions"], here["predictions"], strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)
    told = jax(*words, "--engine", "openvino", code=1)
    assert "Error: OpenVINO converts this network only where Keras computes on TensorFlow, not on jax.\n" in told
    assert "Hint: Use --engine keras.\n" in told


@pytest.mark.every
def test_losses_of_a_training_agree(runs):
    np.testing.assert_allclose(history(runs["jax"]), history(runs["tensorflow"]), atol=1e-4)
    versions = {name: json.loads((run / "run.json").read_text())["versions"] for name, run in runs.items()}
    assert "jax" in versions["jax"]
    assert "tensorflow" not in versions["jax"]


@pytest.mark.every
@pytest.mark.parametrize("trained", ["tensorflow", "jax"])
def test_a_run_of_either_backend_works_on_the_other(runs, trained, tlkit, textures, tmp_path):
    words = "predict", "--model", runs[trained], textures / "validation", "--engine", "keras", "--format", "json"
    for one, other in zip(json.loads(jax(*words)), tlkit(*words).json, strict=True):
        assert one["predictions"][0]["label"] == other["predictions"][0]["label"]
        assert one["predictions"][0]["probability"] == pytest.approx(other["predictions"][0]["probability"], abs=1e-5)
    words = "evaluate", runs[trained], textures, "--format", "json"
    one, other = json.loads(jax(*words)), tlkit(*words).json
    assert one["accuracy"] == other["accuracy"]


@pytest.mark.every
@pytest.mark.parametrize(
    ("arch", "precision"), [("efficientnetlite0", "float32"), ("toy", "float32"), ("toy", "bfloat16")]
)
def test_features_agree(arch, precision, tlkit, toy, textures, tmp_path):
    words = "extract", textures / "validation", "--arch", arch, "--engine", "keras"
    jax(*words, "--precision", precision, "-o", tmp_path / "jax.npy")
    assert tlkit(*words, "-o", tmp_path / "here.npy").code == 0
    one, other = np.load(tmp_path / "jax.npy"), np.load(tmp_path / "here.npy")
    error = np.linalg.norm(one - other) / np.linalg.norm(other)
    assert error < (1e-5 if precision == "float32" else 3e-2)
    provenance = json.loads((tmp_path / "jax.npy.json").read_text())["provenance"]
    assert provenance["engine"].split()[0:4:3] == ["keras,", "jax"]
    assert provenance["precision"] == precision


@pytest.mark.every
def test_features_of_either_backend_train_a_head_on_the_other(tlkit, toy, textures, tmp_path):
    jax("bottleneck", textures, "--arch", "toy", "--engine", "keras", "-o", tmp_path / "features")
    ran = tlkit("finetune", textures, *TRAINING, "--finetune-epochs", 0, "--features", tmp_path / "features",
                "-o", tmp_path / "run")  # fmt: skip
    assert ran.code == 0, ran.err
    ran = tlkit("bottleneck", textures, "--arch", "toy", "--engine", "keras", "-o", tmp_path / "features")
    assert ran.code == 1  # one file has features of one backend
    assert "jax" in ran.err
    assert "tensorflow" in ran.err


@pytest.mark.every
@pytest.mark.parametrize(
    "words",
    [
        ("check", "{data}", "--arch", "toy"),
        ("compare", "{data}", "--archs", "toy", "--repeats", "1"),
        ("find-lr", "{data}", "--arch", "toy", "--batch-size", "4"),
        ("finetune", "{data}", "--arch", "toy", "--recipe", "fast", "-o", "{out}/run"),
        ("finetune", "{data}", "--arch", "toy", "--recipe", "strong", "--finetune-epochs", "2", "-o", "{out}/run"),
        ("finetune", "{data}", *map(str, TRAINING), "--augment", "randaugment", "--cutmix", "1", "-o", "{out}/run"),
        ("finetune", "{data}", *map(str, TRAINING), "--augment", "light", "--augment-copies", "2", "-o", "{out}/run"),
        ("finetune", "{data}", *map(str, TRAINING), "--folds", "2", "-o", "{out}/run"),
        ("finetune", "{data}", *map(str, TRAINING), "--precision", "bfloat16", "--ema", "-o", "{out}/run"),
        ("evaluate", "{run}", "{data}", "--tta", "--report", "{out}/report.html"),
        ("predict", "{data}", "--model", "{run}", "--explain", "{out}/heat", "--unknown"),
        ("export", "{run}", "-o", "{out}/model.onnx"),
        ("export", "{run}", "-o", "{out}/model.keras"),
        ("convert-h5", "{weights}", "{out}/new.weights.h5", "--arch", "toy"),
        ("inspect-h5", "{weights}", "--arch", "toy"),
        ("predict", "{data}", "--arch", "toy", "--data-format", "channels_first", "--engine", "keras"),
        ("predict", "{data}", "--arch", "resnext50", "--weights", "none", "--engine", "keras", "--size", "64"),
    ],
    ids=lambda words: "-".join(word.strip("-{}") for word in words[:1] + words[-2:-1]),
)
def test_every_command_works(words, runs, textures, tmp_path):
    from helpers.toy import WEIGHTS

    places = {"data": textures, "out": tmp_path, "run": runs["tensorflow"], "weights": WEIGHTS}
    jax(*(word.format(**places) for word in words))


@pytest.mark.every
def test_what_is_tensorflows_own_says_so(runs, tmp_path):
    error = jax("export", runs["jax"], "-o", tmp_path / "saved", "--format", "saved_model", code=1)
    assert "needs tensorflow, which is not installed" in error


@pytest.mark.every
def test_an_interrupted_run_goes_on_on_the_other_backend(textures, tlkit, runs, tmp_path):
    from helpers.program import start

    with start("finetune", textures, *TRAINING, "--epochs", 300, "-o", tmp_path / "run") as process:
        for line in process.stderr:
            if line.startswith("head 3/300"):
                process.kill()
    jax("finetune", "--resume", tmp_path / "run", "--backend", "jax")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["arguments"]["backend"] == "jax"
    assert any("Versions of" in warning and "jax" in warning for warning in record["warnings"])


def test_two_backends_in_a_process_are_refused(tlkit, toy, cat):
    ran = tlkit("predict", cat, "--arch", "toy", "--backend", "jax")
    assert ran.code == 1
    assert "--backend jax: Keras was imported with tensorflow in this process" in ran.err


@pytest.mark.every
@pytest.mark.parametrize("name", ["tensorflow", "jax"])
@pytest.mark.parametrize("command", ["predict", "finetune", "find-lr"])
def test_a_gpu_that_is_not_there_is_an_error(name, command, textures, tmp_path):
    if Path("/proc/driver/nvidia/version").exists():
        pytest.skip("there is one")
    words = [sys.executable, "-m", "helpers.program", command, str(textures), "--backend", name, "--device", "gpu:1"]
    env = {name: value for name, value in environment().items() if name != "KERAS_BACKEND"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2
    assert f"Error: --device gpu:1: {name} finds no GPU here.\nHint: It needs NVIDIA's" in done.stderr
