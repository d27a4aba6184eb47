"""A linear head is fitted by L-BFGS: no TensorFlow, an ordinary Keras model."""

import json
import subprocess
import sys

import numpy as np
import pytest
from helpers.cases import one_in

from tlkit.analysis import logistic_regression
from tlkit.backend import keras
from tlkit.features.io import FeatureFile
from tlkit.utils import rows

FAST = ("--head", "linear", "--finetune-epochs", 0, "--format", "json")


@pytest.fixture(scope="module")
def run(textures, tlkit, tmp_path_factory):
    """A run in a process of its own, as a user's, which imported neither TensorFlow nor Keras."""
    folder = tmp_path_factory.mktemp("linear") / "run"
    code = (
        "import sys\nfrom tlkit.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        "    print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, "finetune", textures, *FAST, "-o", folder]
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert ran.stdout.endswith("[]\n"), ran.stderr
    assert json.loads(ran.stdout.removesuffix("[]\n"))["val_accuracy"] > 0.9
    return folder


@pytest.mark.every
def test_keras_loads_the_model_and_gives_the_same_predictions(run, textures, tlkit):
    model = keras.saving.load_model(run / "model.keras")
    assert model.get_layer("head").get_layer("predictions").units == 2
    image = next((textures / "validation").rglob("*.png"))
    given = tlkit("predict", image, "--model", run, "--engine", "openvino", "--format", "json").json[0]["predictions"]
    through_keras = tlkit("predict", image, "--model", run, "--engine", "keras", "--format", "json")
    expected = {each["name"]: each["probability"] for each in through_keras.json[0]["predictions"]}
    assert {each["name"]: each["probability"] for each in given} == pytest.approx(expected, abs=1e-5)
    evaluated = tlkit("evaluate", run, textures, "--format", "json").json
    assert evaluated["accuracy"] == json.loads((run / "run.json").read_text())["results"]["val_accuracy"]


def test_the_page_and_the_record_are_as_of_any_run(run, tlkit):
    record = json.loads((run / "run.json").read_text())
    assert record["arguments"]["optimizer"] == "lbfgs"
    assert (run / "history.csv").read_text().count("\n") == 2
    assert "logistic" not in record["warnings"]
    assert "head" in (run / "report.html").read_text("utf-8")
    assert tlkit("inspect-h5", run / "model.keras", "--format", "json").json["dialect"] == "keras-archive"


@pytest.mark.every
def test_it_is_at_least_as_good_as_the_epochs_of_an_optimizer(run, textures, tlkit, tmp_path):
    ran = tlkit("finetune", textures, *FAST, "--optimizer", "rmsprop", "-o", tmp_path / "run")
    assert json.loads((run / "run.json").read_text())["results"]["val_accuracy"] >= ran.json["val_accuracy"]
    assert ran.json["phases"][0]["epochs"] == 10


@pytest.mark.every
@pytest.mark.usefixtures("toy")
def test_fine_tuning_starts_from_the_fitted_head(textures, tlkit, tmp_path):
    """With a rate of nothing, phase 2 ends where phase 1 did."""
    options = ("--head", "linear", "--arch", "toy", "--class-weight", "auto", "--label-smoothing", 0.1)
    head = tlkit(
        "finetune", textures, *options, "--finetune-epochs", 0, "-o", tmp_path / "head", "--format", "json"
    ).json
    both = tlkit("finetune", textures, *options, "--finetune-epochs", 1, "--finetune-lr", 1e-12, "--keep", "last",
                 "-o", tmp_path / "both", "--format", "json").json  # fmt: skip
    assert [phase["name"] for phase in both["phases"]] == ["head", "finetune"]
    assert both["val_accuracy"] == head["val_accuracy"]
    rows = (tmp_path / "both" / "history.csv").read_text().splitlines()
    losses = [float(row.split(",")[4]) for row in rows[1:]]
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


@pytest.mark.every
@pytest.mark.usefixtures("toy")
def test_augmented_copies_are_all_fitted(textures, tlkit, tmp_path):
    options = (*FAST, "--arch", "toy", "--augment", "light")
    copies = tlkit("finetune", textures, *options, "--augment-copies", 3, "-o", tmp_path / "copies")
    assert copies.json["phases"][0]["epochs"] == 1
    every_epoch = tlkit("finetune", textures, *options, "--epochs", 2, "-o", tmp_path / "every")
    assert every_epoch.json["phases"][0]["epochs"] == 2  # such features never repeat: an optimizer of steps


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--head", "dense"), "--optimizer lbfgs fits a linear head, not --head dense"),
        (("--head", "linear", "--dropout", 0.2), "trains without Dropout"),
        (("--head", "linear", "--augment", "light"), "Add --augment-copies"),
    ],
)
def test_what_it_cannot_fit_is_refused(textures, tlkit, tmp_path, options, says):
    ran = tlkit("finetune", textures, "--arch", "toy", "--optimizer", "lbfgs", *options, "-o", tmp_path / "run")
    assert ran.code == 2
    assert says in ran.err
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("toy")
def test_options_of_epochs_have_no_effect_and_say_so(textures, tlkit, tmp_path):
    ran = tlkit("finetune", textures, *FAST, "--arch", "toy", "--epochs", 3, "--lr", 0.1, "-o", tmp_path / "run")
    assert ran.code == 0
    assert "--epochs has no effect: L-BFGS" in ran.err
    assert "--lr has no effect: L-BFGS" in ran.err


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("file_format", one_in(3, ["npy", "hdf5", "parquet"]))
def test_features_beyond_memory_are_read_in_blocks(textures, tlkit, tmp_path, monkeypatch, file_format):
    """The head is the same, and at no time more rows are read than fit in a block."""
    network, read = ("--arch", "toy", "--pooling", "avg"), []
    real = FeatureFile._read
    assert tlkit("bottleneck", textures, *network, "-o", tmp_path / "features", "--format", file_format).code == 0
    given = ("finetune", textures, *FAST, *network[:2], "--features", tmp_path / "features")
    expected = tlkit(*given, "-o", tmp_path / "whole").json
    monkeypatch.setattr(rows, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(rows, "_BLOCK_BYTES", 4 * 18 * 5)
    monkeypatch.setattr(logistic_regression, "IN_MEMORY_BYTES", 0)
    if file_format != "parquet":
        monkeypatch.setattr(FeatureFile, "_read", lambda self, rows: read.append(len(rows)) or real(self, rows))
    ran = tlkit(*given, "-o", tmp_path / "blocks")
    assert "Copying" in ran.err
    assert ran.json["val_accuracy"] == expected["val_accuracy"]
    assert max(read, default=5) == 5
    one, other = (np.load(tmp_path / name / "unknown.npz")["threshold"] for name in ("whole", "blocks"))
    assert one == pytest.approx(other, rel=1e-3)


@pytest.mark.every
def test_an_interrupted_run_resumes(textures, tlkit, tmp_path, monkeypatch):
    """The head is fitted again: it takes less than reading it would save."""
    expected = tlkit("finetune", textures, *FAST, "-o", tmp_path / "whole").json
    with monkeypatch.context() as patch:
        patch.setattr("tlkit.commands.finetune.fit_linear_head", _interrupt)
        assert tlkit("finetune", textures, *FAST, "-o", tmp_path / "run").code == 130
    resumed = tlkit("finetune", "--resume", tmp_path / "run", "--format", "json").json
    assert resumed["validation"] == expected["validation"]
    one, other = (keras.saving.load_model(tmp_path / name / "model.keras").weights for name in ("whole", "run"))
    for mine, yours in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, yours)


def _interrupt(*_):
    raise KeyboardInterrupt
