"""What a process imports that only runs a network forward: neither TensorFlow nor Keras."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from helpers.program import environment
from keras_writers.tagger import old_weights, write

SCRIPT = """
import json, sys
from tlkit.__main__ import main
code = 0
try:
    main()
except SystemExit as end:
    code = end.code or 0
heavy = sorted({name.split(".")[0] for name in sys.modules} & {"tensorflow", "keras"})
print(json.dumps([code, heavy]), file=sys.stderr)
"""


def heavy(*arguments, tmp_path):
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=120)
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    return modules


@pytest.fixture(scope="module")
def run(tlkit, textures, tmp_path_factory):
    """A run that `tlkit finetune` made."""
    folder = tmp_path_factory.mktemp("runs") / "textures"
    ran = tlkit("finetune", textures, "-o", folder, "--epochs", 1, "--finetune-epochs", 0, "--size", 64)
    assert ran.code == 0, ran.err
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "cat.jpg"],
        pytest.param(
            ["predict", "cat.jpg", "--size", "128", "--resize", "crop", "--plot", "plot.png"],
            marks=pytest.mark.every,
        ),
        pytest.param(["extract", "cat.jpg", "-o", "f.npy", "--layer", "block3a_expand_bn"], marks=pytest.mark.every),
        pytest.param(
            ["extract", "cat.jpg", "-o", "f.h5", "--data-format", "channels_first", "--pooling", "none"],
            marks=pytest.mark.every,
        ),
        ["bottleneck", "{textures}", "-o", "b", "--size", "64"],
        pytest.param(
            ["predict", "cat.jpg", "--weights", "none", "--seed", "3", "--size", "64"],
            marks=pytest.mark.every,
        ),
        pytest.param(["extract", "cat.jpg", "-o", "n.npy", "--weights", "none"], marks=pytest.mark.every),
        pytest.param(
            ["bottleneck", "{textures}", "-o", "n", "--size", "64", "--weights", "none"], marks=pytest.mark.every
        ),
        pytest.param(
            ["predict", "cat.jpg", "--weights", "{run}/model.keras", "--skip-mismatch"],
            marks=pytest.mark.every,
        ),
        pytest.param(["predict", "cat.jpg", "--model", "{run}"], marks=pytest.mark.every),
        pytest.param(
            ["predict", "cat.jpg", "--model", "copy.keras", "--preprocess", "lite"],
            marks=pytest.mark.every,
        ),
        pytest.param(["extract", "cat.jpg", "-o", "r.npy", "--model", "{run}"], marks=pytest.mark.every),
        pytest.param(["evaluate", "{run}", "{textures}", "--report", "r.html"], marks=pytest.mark.every),
        pytest.param(["archs", "mobilenetv3small"], marks=pytest.mark.every),
        pytest.param(["inspect-h5", "{run}/model.keras"], marks=pytest.mark.every),
    ],
    ids=lambda words: "-".join(words[:1] + words[-2:]).replace("/", "_"),
)
def test_nothing_that_only_runs_forward_starts_tensorflow(arguments, run, textures, cat, tmp_path):
    (tmp_path / "cat.jpg").write_bytes(cat.read_bytes())
    os.link(run / "model.keras", tmp_path / "copy.keras")
    words = [word.format(run=run, textures=textures) for word in arguments]
    assert heavy(*words, tmp_path=tmp_path) == []


@pytest.mark.parametrize("words", [("predict",), pytest.param(("extract", "-o", "f.npy"), marks=pytest.mark.every)])
def test_nothing_that_only_tags_music_starts_tensorflow(words, tmp_path):
    tone = np.sin(np.arange(12_000 * 30) * 0.2)
    soundfile.write(tmp_path / "tone.wav", 0.3 * tone, 12_000)
    weights = write(tmp_path / "old.h5", old_weights())
    ran = heavy(*words, "tone.wav", "--arch", "musictaggercrnn", "--weights", weights, tmp_path=tmp_path)
    assert ran == []


@pytest.mark.every
def test_the_keras_engine_starts_it(cat, tmp_path):
    assert heavy("predict", cat, "--engine", "keras", tmp_path=tmp_path) == ["keras", "tensorflow"]
