"""The Python API: the results that commands print, and an import that costs nothing."""

import json
import subprocess
import sys

import numpy as np
import pytest

import tlkit as api
from tlkit.errors import ConfigError, RunError, TlkitError

pytestmark = pytest.mark.usefixtures("toy")


def test_importing_it_imports_nothing():
    code = (
        "import sys; before = {*sys.modules}; import tlkit; "
        "print(sorted({*sys.modules} - before)); tlkit.finetune; tlkit.TlkitError; "
        "print(sorted({'numpy', 'click', 'keras', 'h5py', 'PIL', 'yaml', 'requests'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['tlkit']", "[]"]


def test_the_module_lists_its_functions_and_no_others():
    assert {"predict", "resume", "TlkitError"} <= {*dir(api)}
    assert not hasattr(api, "predictt")
    assert api.TlkitError is TlkitError


def test_predict(cat, tlkit, tmp_path):
    result = api.predict(cat, top=3)
    assert len(result) == 1
    assert [score.rank for score in result[0].scores] == [1, 2, 3]
    assert [prediction.input for prediction in result] == [str(cat)]
    assert result.to_dict() == tlkit("predict", cat, "--top", 3, "--format", "json").json
    (tmp_path / "broken.png").write_text("not an image")
    several = api.predict([cat, str(tmp_path / "broken.png")], top=1, plot=tmp_path / "plot.png")
    assert several[0].scores == result[0].scores[:1]
    assert several.to_dict()[1] == {"input": str(tmp_path / "broken.png"), "error": several[1].error}
    assert (tmp_path / "plot.png").stat().st_size > 1000
    assert api.predict([]).to_dict() == []
    with pytest.raises(AttributeError):
        result[0].error = "x"


def test_features_and_a_run(textures, tlkit, tmp_path):
    images = sorted((textures / "validation" / "brick").iterdir())
    extracted = api.extract(images, output=tmp_path / "f.npy", arch="toy")
    assert np.load(tmp_path / "f.npy").shape == extracted.shape
    assert extracted.to_dict() == json.loads(json.dumps(extracted.to_dict()))
    bottleneck = api.bottleneck(textures, output=tmp_path / "features", arch="toy", batch_size=4)
    assert set(bottleneck.to_dict()["splits"]) == {"train", "validation"}
    run = tmp_path / "run"
    result = api.finetune(textures, arch="toy", freeze=2, epochs=1, finetune_epochs=1, output=run)
    document = result.to_dict()
    assert document["freeze"]["layers"] == 2
    assert document == json.loads(json.dumps(document))
    evaluated = api.evaluate(run, textures, report=tmp_path / "page.html")
    assert (tmp_path / "page.html").exists()
    assert evaluated.to_dict() == tlkit("evaluate", run, textures, "--format", "json").json
    assert evaluated.to_dict()["accuracy"] == document["val_accuracy"]
    with pytest.raises(RunError):
        api.resume(run)


def test_errors_are_those_of_tlkit(tmp_path):
    with pytest.raises(ConfigError, match="There is no option tops") as caught:
        api.predict("x.png", tops=3)
    assert caught.value.hint.startswith("Did you mean top")
    with pytest.raises(ConfigError, match="output is missing; expected a path"):
        api.extract("x.png")
    with pytest.raises(TlkitError, match="There is no data folder"):
        api.finetune(tmp_path / "nothing")


def test_help_shows_every_option():
    text = api.finetune.__doc__
    assert "momentum (a number of at least 0 and below 1): Momentum of SGD. Default: 0.9." in text
    assert "deeper each time (mixed9,mixed8,mixed7), for ``finetune_epochs`` each." in text  # not --finetune-epochs


def test_weights(tlkit):
    files = api.list_weights("efficientnetlite0")
    assert [file.to_dict() for file in files] == tlkit("weights", "list", "efficientnetlite0", "--format", "json").json
    assert [file.problem for file in api.pull_weights("efficientnetlite0")] == [None]
    assert {file.status for file in api.verify_weights("efficientnetlite0")} == {"good"}
    with pytest.raises(TlkitError, match="--all selects every width"):
        api.pull_weights("mobilenet", every=True, alpha=0.5)
    with pytest.raises(TlkitError, match="No architecture is named"):
        api.pull_weights()
