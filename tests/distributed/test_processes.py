"""Training on several processes and devices, in processes of their own: it ends where one alone does."""

import csv
import json
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers.program import COMMAND, environment
from PIL import Image

JAX = {"KERAS_BACKEND": "jax"}
TWO_DEVICES = JAX | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
# 28 images in batches of 5: the last one has 3, of which one process has 1
ONE_OF_TWO = ("--coordinator", "127.0.0.1:9", "--processes", 2, "--process-id", 0)
OPTIONS = ("--arch", "toy", "--epochs", 2, "--finetune-epochs", 2, "--batch-size", 5, "--finetune-lr", 0.01)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Class folders of 37 training images, of which one class has more, and 11 to validate with."""
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for name, light, train, validation in (("dark", 90, 22, 6), ("light", 130, 15, 5)):
        for split, count in (("train", train), ("validation", validation)):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(light - 60, light + 60, (32, 32, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


def start(*arguments, env=JAX, **options):
    command = [*COMMAND, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(**env), stdout=pipe, stderr=pipe, text=True, **options)


def start_together(*arguments, processes=2, folders=None):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return [
        start(*arguments, "--coordinator", address, "--processes", processes, "--process-id", number)
        for number in range(processes)
    ]


def finish(*processes, code=0):
    """Return what each wrote to stdout and stderr."""
    ended = [process.communicate(timeout=240) for process in processes]
    for process, (_, error) in zip(processes, ended, strict=True):
        assert process.returncode == code, error
    return ended


def losses(run):
    with open(run / "history.csv", newline="") as file:
        return np.array([[float(row["loss"]), float(row["val_loss"])] for row in csv.DictReader(file)])


@pytest.mark.every
def test_two_processes_end_where_one_does(images, tmp_path):
    """Shuffled, with a last batch that is not full, and class weights."""
    options = (*OPTIONS, "--class-weight", "auto", "--label-smoothing", 0.1)
    alone = start("finetune", images, *options, "-o", tmp_path / "one")
    two = start_together("finetune", images, *options, "-o", tmp_path / "two", "--format", "json")
    (out, err), (other_out, other_err) = finish(*two)
    finish(alone)
    assert "Training on 2 devices." in err
    assert other_out == ""
    assert other_err.splitlines()[-1].startswith("Process 1 of 2: waiting for the others")  # process 0 tells the rest
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), atol=1e-5)
    assert len(losses(tmp_path / "two")) == 4
    one, two = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two"))
    assert one["results"]["validation"] == two["results"]["validation"]
    assert json.loads(out)["val_accuracy"] == one["results"]["val_accuracy"]
    assert "--coordinator" not in two["command"]


@pytest.mark.every
@pytest.mark.parametrize("options", [
    ("--augment", "light"),
    ("--augment", "light", "--mixup", 0.2, "--finetune-optimizer", "adamw", "--ema", "--weight-decay", 0.01),
    ("--cache-limit", 0), ("--batchnorm", "train", "--patience", 1), ("--lr", "auto", "--head-units", 8),
    ("--stages", "block3_add,block2_concat", "--precision", "bfloat16"),
], ids=lambda options: options[-2])  # fmt: skip
def test_what_trains_on_one_process_trains_on_two(images, tmp_path, options):
    finish(*start_together("finetune", images, *OPTIONS, *options, "-o", tmp_path / "two"))
    found = losses(tmp_path / "two")
    assert np.isfinite(found).all()
    if {*options} & {"--cache-limit", "--lr"}:  # BatchNorm that trains sees what fills up the last batch
        finish(start("finetune", images, *OPTIONS, *options, "-o", tmp_path / "one"))
        expected = losses(tmp_path / "one")
        np.testing.assert_allclose(found[: len(expected)], expected, atol=1e-5)


@pytest.mark.every
def test_images_that_one_process_cannot_read_leave_the_batches_of_all(images, tmp_path):
    data = shutil.copytree(images, tmp_path / "data")
    for name in ("train/dark/3.png", "train/light/4.png", "validation/dark/1.png"):
        (data / name).write_bytes((data / name).read_bytes()[:100])
    alone = start("finetune", data, *OPTIONS, "-o", tmp_path / "one")
    leader, follower = start_together("finetune", data, *OPTIONS, "-o", tmp_path / "two")
    ((_, error),) = finish(leader, code=3)
    finish(follower)
    assert error.count("is skipped") == 3
    finish(alone, code=3)
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), atol=1e-5)
    one, two = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two"))
    assert one["skipped"] == two["skipped"]


@pytest.mark.every
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_others_and_one_or_two_go_on(images, tmp_path, victim):
    options = (*OPTIONS[:-6], "--finetune-epochs", 40, *OPTIONS[-4:])
    run = tmp_path / "run"
    processes = start_together("finetune", images, *options, "-o", run)
    for line in processes[0].stderr:
        if line.startswith("finetune 3/40"):
            break
    processes[victim].send_signal(signal.SIGKILL)
    started = time.monotonic()
    left = processes[1 - victim]
    _, error = left.communicate(timeout=90)
    assert time.monotonic() - started < 60
    assert left.returncode not in (0, -signal.SIGKILL)
    assert "Traceback" not in error
    assert "--resume RUN" in error
    assert any("Error: " in line and "ended" in line for line in error.splitlines())
    processes[victim].communicate()
    resume = "finetune", "--resume", run
    (_, told), *_ = finish(*(start_together(*resume) if victim else [start(*resume)]))
    assert "Resuming finetune after epoch" in told
    finish(start("finetune", images, *options, "-o", tmp_path / "whole"))
    np.testing.assert_allclose(losses(run), losses(tmp_path / "whole"), atol=1e-5)


@pytest.mark.every
def test_all_devices_of_a_machine_end_where_one_does(images, tmp_path):
    code = (
        "import sys, runpy, tensorflow as tf\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)\n"
        "runpy.run_module('helpers.program', run_name='__main__')\n"
    )
    words = ["finetune", images, *OPTIONS, "--class-weight", "auto"]
    two = [*map(str, words), "--distribute", "auto", "-o"]
    tensorflow = subprocess.Popen(
        [sys.executable, "-c", code, *two, tmp_path / "tf"], env=environment(), stderr=subprocess.PIPE, text=True
    )
    finish(start(*two, tmp_path / "jax", env=TWO_DEVICES), start(*words, "-o", tmp_path / "one"))
    _, error = tensorflow.communicate(timeout=240)
    assert tensorflow.returncode == 0, error
    assert "Training on 2 devices." in error
    np.testing.assert_allclose(losses(tmp_path / "jax"), losses(tmp_path / "one"), atol=1e-5)
    np.testing.assert_allclose(losses(tmp_path / "tf"), losses(tmp_path / "one"), atol=1e-4)


def test_several_processes_are_refused_on_tensorflow(tlkit, toy, images, tmp_path):
    ran = tlkit("finetune", images, *OPTIONS, *ONE_OF_TWO, "-o", tmp_path / "run")
    assert ran.code == 2
    assert "train on JAX only" in ran.err
    assert "--backend jax" in ran.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--folds", 2, *ONE_OF_TWO), "--folds trains its runs in one process"),
        (("--head", "linear", *ONE_OF_TWO), "in one process"),
        (("--device", "gpu:1", "--distribute", "auto"), "--distribute auto uses all GPUs, and --device gpu:1 one"),
    ],
)
def test_what_is_not_shared_is_refused_at_once(tlkit, toy, images, tmp_path, monkeypatch, options, message):
    monkeypatch.setattr("tlkit.api.use", lambda *chosen: None)  # this process has a backend and a device
    ran = tlkit("finetune", images, *OPTIONS, *options, "-o", tmp_path / "run")
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "run").exists()


def test_one_device_is_said(tlkit, toy, images, tmp_path):
    ran = tlkit("finetune", images, *OPTIONS, "--distribute", "auto", "-o", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert "--distribute auto: this machine has one device." in ran.err


@pytest.mark.every
def test_processes_that_do_not_do_the_same_are_refused(images, tmp_path):
    other = shutil.copytree(images, tmp_path / "other")
    (other / "train" / "dark" / "0.png").unlink()
    for more, message in (
        ((images, "--epochs", 3), "--epochs is 2 in process 0, 3 in process 1"),
        ((other,), "images is"),
    ):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        cluster = "--coordinator", address, "--processes", 2, "--process-id"
        two = [
            start("finetune", images, *OPTIONS, *cluster, 0, "-o", tmp_path / "run"),
            start("finetune", more[0], *OPTIONS, *more[1:], *cluster, 1),
        ]
        assert all(message in error for _, error in finish(*two, code=2))
        assert not (tmp_path / "run").exists()


@pytest.mark.every
def test_a_head_alone_trains_on_two_processes(images, tmp_path):
    finish(*start_together("finetune", images, *OPTIONS, "--finetune-epochs", 0, "-o", tmp_path / "two"))
    assert len(losses(tmp_path / "two")) == 2


@pytest.mark.every
def test_stdout_may_be_closed(images, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    options = ["finetune", images, *OPTIONS, "--coordinator", address, "--processes", 2, "-o", tmp_path / "run"]
    words = ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, *map(str, options), "--process-id", "0"]
    closed = subprocess.Popen(words, env=environment(**JAX), stderr=subprocess.PIPE, text=True)
    finish(start(*options, "--process-id", 1))
    _, error = closed.communicate(timeout=240)
    assert closed.returncode == 0, error
    assert (tmp_path / "run" / "run.json").exists()


@pytest.mark.every
def test_an_interrupt_while_waiting_blames_nobody(images):
    options = ["finetune", images, *OPTIONS, "--coordinator", "127.0.0.1:9", "--processes", 2, "--process-id", 1]
    with start(*options) as process:
        for line in process.stderr:
            if "waiting for the others at 127.0.0.1:9" in line:
                break
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.strip().splitlines() == ["Interrupted."]
