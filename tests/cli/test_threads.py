"""``--threads``: what it reaches, and that no output depends on it."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import openvino
import pytest
from helpers.program import environment

import tlkit as api
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.errors import ConfigError
from tlkit.utils import processors

SEVERAL = pytest.mark.skipif(processors.usable_processors() < 2, reason="this machine lends one processor")
AFFINITY = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")


@pytest.fixture(autouse=True)
def _as_many_as_usual():
    yield
    processors.use_threads(None)


@pytest.fixture
def started(monkeypatch):
    """The threads that decode, and the streams of the networks, from here on."""
    seen = {"decode": set(), "streams": []}
    to_array, compile_model = ImagePreprocessor.to_array, openvino.Core.compile_model

    def slowly(self, image):
        seen["decode"].add(threading.current_thread().name)
        time.sleep(0.05)
        return to_array(self, image)

    def compiled(self, *given):
        network = compile_model(self, *given)
        seen["streams"].append((network.get_property("NUM_STREAMS"), network.get_property("INFERENCE_NUM_THREADS")))
        return network

    monkeypatch.setattr(ImagePreprocessor, "to_array", slowly)
    monkeypatch.setattr(openvino.Core, "compile_model", compiled)
    return seen


@pytest.fixture
def images(tmp_path, noise):
    return [noise(tmp_path / "images" / f"{seed}.png", seed) for seed in range(6)]


@SEVERAL
@pytest.mark.parametrize("threads", [1, 2])
def test_as_many_threads_decode_and_compute(tlkit, images, started, tmp_path, threads):
    assert tlkit("extract", *images, "-o", tmp_path / "f.npy", "--engine", "openvino", "--threads", threads).code == 0
    assert len(started["decode"]) == threads
    assert started["streams"] == [(threads, threads)]


@SEVERAL
def test_a_call_does_not_limit_the_next(images, started):
    for threads in (1, None):
        api.predict(images, engine="openvino", threads=threads)
    assert started["streams"] == [(1, 1), (processors.usable_processors(),) * 2]


@SEVERAL
def test_features_do_not_depend_on_it(textures, tmp_path):
    """Neither do their provenance and the cached rows: those of one number are found by the other."""
    one, two = (
        api.extract(textures, output=tmp_path / f"{threads}.npy", engine="openvino", threads=threads)
        for threads in (1, 2)
    )
    np.testing.assert_array_equal(np.load(one.output), np.load(two.output))
    assert one.provenance == two.provenance
    again = api.extract(textures, output=tmp_path / "1.npy", engine="openvino", threads=2)
    assert (one.computed, two.computed, again.computed) == (24, 24, 0)


@pytest.mark.every
def test_tensorflow_and_blas_start_with_it(cat):
    """In a process of its own: neither changes once it has started."""
    code = (
        "import logging, os, sys, threadpoolctl, tlkit\n"
        "from helpers.toy import registered\n"
        "from tlkit.utils import processors\n"
        "def predict(threads): tlkit.predict(sys.argv[1], arch='toy', engine='keras', threads=threads)\n"
        "with registered():\n"
        "    predict(1)\n"
        "    import tensorflow as tf\n"
        "    threads = tf.config.threading\n"
        "    print(threads.get_intra_op_parallelism_threads(), threads.get_inter_op_parallelism_threads())\n"
        "    print(*{pool['num_threads'] for pool in threadpoolctl.threadpool_info() if 'numpy' in pool['filepath']})\n"
        "    print(os.environ.get('OPENBLAS_NUM_THREADS'))\n"
        "    logging.basicConfig(format='%(message)s')\n"
        "    predict(1)\n"
        "    processors._allowed = lambda: 2\n"
        "    predict(2)\n"
    )
    env = {name: value for name, value in environment().items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code, cat], env=env, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["1 1", "1", "None"], done.stderr
    assert done.stderr.count("TensorFlow has started before and keeps its number of threads, not 2.") == 1


def on_one_processor(*command):
    code = "import os, runpy; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    code += "runpy.run_module('helpers.program', run_name='__main__')"
    words = [sys.executable, "-c", code, *command, "--format", "json"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@AFFINITY
def test_one_processor_is_enough(images):
    assert [len(each["predictions"]) for each in on_one_processor("predict", *images)] == [5] * len(images)


@AFFINITY
@pytest.mark.every
def test_one_processor_is_enough_to_train(textures, tmp_path):
    """Training reads batches, decodes and computes with one thread each, and nothing waits for the other."""
    options = "--epochs", "1", "--finetune-epochs", "1", "--augment", "light", "-o", tmp_path / "run"
    assert len(on_one_processor("finetune", textures, "--arch", "toy", *options)["phases"]) == 2


@pytest.mark.parametrize("command", ["predict", "extract", "bottleneck", "finetune", "evaluate"])
def test_below_one_is_refused_by_every_command_alike(tlkit, textures, tmp_path, command):
    more = {"extract": ["-o", "f.npy"], "bottleneck": ["-o", "f"], "evaluate": [textures]}.get(command, [])
    message = "threads is {}; expected a whole number from 1 to 1,024."
    for value in ("0", "-2", "1.5"):
        ran = tlkit(command, textures, *more, "--threads", value)
        assert (ran.code, ran.err.splitlines()[0]) == (2, f"Error: {message.format(value)}")
    (tmp_path / "options.yaml").write_text("threads: 0\n")
    if command not in ("predict", "evaluate"):  # which take no --config
        ran = tlkit(command, textures, *more, "--config", tmp_path / "options.yaml")
        assert message.format(0) in ran.err
    with pytest.raises(ConfigError, match="threads is 0; expected"):
        api.predict([], threads=0)


def test_more_than_there_are_processors_is_noted(tlkit, cat):
    ran = tlkit("predict", cat, "--threads", 1000)
    assert ran.code == 0
    assert "--threads 1000: this process may use " in ran.err
