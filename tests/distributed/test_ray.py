"""``--ray``: the result of workers is that of one machine, whatever becomes of them."""

import os
import random
import signal
import subprocess
import threading
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from helpers.program import COMMAND, environment
from helpers.workers import processes, toy_extractor

import tlkit as program
from tlkit.config import WorkersOptions
from tlkit.distributed import ray_workers
from tlkit.distributed.parts import Parts
from tlkit.distributed.shares import parts_of
from tlkit.errors import TlkitError
from tlkit.features.store import open_store

ray = pytest.importorskip("ray")

SMALL = "--size", 64, "--batch-size", 4
FROZEN = "ray::Worker.compute"


@pytest.fixture(autouse=True)
def _workers_find_what_tests_have(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    yield
    assert not ray.is_initialized()
    assert processes("ray::Worker") == []


@pytest.fixture
def images(tmp_path, noise):
    folder = tmp_path / "images"
    for number in range(120):
        noise(folder / f"{number:03}.png", number)
    (folder / "040.png").write_text("not an image")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def extract(folder, files, make=toy_extractor, **options):
    """Compute features as commands do; return them, and what failed."""
    config = WorkersOptions(**options)
    extractor = make()
    with (
        parts_of(config, folder / "parts", extractor, make, batch_size=None),
        open_store(folder / "store", extractor.provenance) as store,
    ):
        found = extractor.compute_missing(sorted(map(str, files.iterdir())), [store], description="features")
        return store.read(found.rows[0][:, 0]), found.failed


@pytest.mark.every
def test_two_workers_give_what_one_machine_gives(tlkit, images, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    for name, options in (("one", []), ("two", ["--ray", "local", "--workers", 2])):
        ran = tlkit("extract", images, *SMALL, "-o", tmp_path / name / "f.npy", "--format", "json", *options)
        assert ran.code == 3
        assert [item["input"] for item in ran.json["skipped"]] == [str(images / "040.png")]
        assert "Ray" not in ran.err
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["f.npy", "f.npy.json"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.every
@pytest.mark.parametrize("engine", ["keras", "openvino"])
def test_other_commands(tlkit, textures, tmp_path, monkeypatch, engine):
    ray_options = ["--ray", "local", "--workers", 2]
    base = [*SMALL[:2], "--engine", engine]
    results = []
    for name, options in (("one", []), ("two", ray_options)):
        monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / f"cache-{name}"))
        ran = [
            tlkit("bottleneck", textures, *base, "-o", tmp_path / name, "--format", "hdf5", *options),
            tlkit("check", textures, *base, "--format", "json", *options),
            tlkit("predict", textures, *base, "--tta", "--batch-size", 5, "--format", "json", *options),
        ]
        assert [each.code for each in ran] == [0, 0, 0]
        results.append([*(each.out.replace(str(tmp_path / name), "") for each in ran), contents(tmp_path / name)])
    assert results[0] == results[1]


@pytest.mark.every
@pytest.mark.parametrize("seed", range(4))
def test_workers_are_killed(images, tmp_path, monkeypatch, seed):
    """Twenty in four rounds, by a signal that nothing catches, at any moment."""
    monkeypatch.setattr(ray_workers, "SHARDS_PER_WORKER", 30)
    dice, killed, ended = random.Random(seed), [], threading.Event()

    def kill():
        while len(killed) < 5 and not ended.wait(dice.uniform(0.2, 1)):
            if alive := processes("ray::Worker"):
                killed.append(dice.choice(alive))
                os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        rows, failed = extract(tmp_path, images, partial(toy_extractor, seconds=0.3), ray="local", workers=2)
    finally:
        ended.set()
        killer.join()
    assert len(killed) == 5
    (tmp_path / "one").mkdir()
    expected, failed_here = extract(tmp_path / "one", images)
    np.testing.assert_array_equal(rows, expected)
    assert failed == failed_here == ((40, "it is not an image in a supported format"),)
    assert not (tmp_path / "parts").exists()


@pytest.mark.every
def test_a_shard_that_kills_three_workers_is_named(images, noise, tmp_path):
    noise(images / "061-deadly.png", 500)
    with pytest.raises(TlkitError, match="3 workers died on the same 16 images: .*048.png to .*062.png"):
        extract(tmp_path, images, ray="local", workers=2)
    assert len([*(tmp_path / "parts").glob("*.h5")]) >= 6  # all others are computed


@pytest.mark.every
def test_the_shard_of_a_frozen_worker_goes_to_another(images, tmp_path):
    """Nothing tells that a worker is frozen; when it goes on, what it did is late."""
    frozen = []

    def freeze():
        while not frozen:
            time.sleep(0.05)
            frozen.extend(processes(FROZEN)[:1])
        os.kill(frozen[0], signal.SIGSTOP)

    freezer = threading.Thread(target=freeze)
    freezer.start()
    rows, failed = extract(tmp_path, images, partial(toy_extractor, seconds=0.5), ray="local", workers=2)
    freezer.join()
    assert (len(rows), len(failed)) == (119, 1)


@pytest.mark.every
@pytest.mark.parametrize("what", ["lost", "frozen"])
def test_a_node_that_is_lost_or_frozen(tlkit, images, tmp_path, what):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    raylet = nodes[0].all_processes["raylet"][0].process.pid
    stopped = []

    def harm():
        while not processes(FROZEN, raylet):
            time.sleep(0.05)
        time.sleep(0.3)
        if what == "lost":
            cluster.remove_node(nodes[0], allow_graceful=False)
        else:
            stopped.extend([raylet, *processes("", raylet)])
            for process in stopped:
                os.kill(process, signal.SIGSTOP)

    harmer = threading.Thread(target=harm)
    harmer.start()
    try:
        make = partial(toy_extractor, seconds=0.5)
        rows, failed = extract(tmp_path, images, make, ray=cluster.address)
    finally:
        harmer.join()
        for process in stopped:
            os.kill(process, signal.SIGCONT)
        cluster.shutdown()
    assert (len(rows), len(failed)) == (119, 1)


@pytest.mark.every
def test_a_worker_that_no_machine_has_room_for(images, tmp_path):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        with pytest.raises(TlkitError, match="No machine of the Ray cluster has 3 processors"):
            extract(tmp_path, images, ray=cluster.address, threads=3)
    finally:
        cluster.shutdown()


@pytest.mark.every
def test_a_driver_that_was_killed_goes_on(tlkit, images, tmp_path, monkeypatch):
    """Its workers end with it, and nothing that was written is computed again."""
    (tmp_path / "two").mkdir()
    command = ["extract", images, *SMALL, "-o", tmp_path / "two" / "f.npy", "--ray", "local", "--workers", "2"]
    parts = tmp_path / "two" / "f.npy.parts"
    driver = subprocess.Popen([*COMMAND, *map(str, command)], env=environment())
    while len([*parts.glob("*.h5")]) < 3:
        time.sleep(0.02)
        assert driver.poll() is None
    workers = processes("ray::Worker", driver.pid)
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [worker for worker in workers if Path(f"/proc/{worker}").exists()]
    before = {path: path.stat().st_mtime_ns for path in parts.glob("*.h5")}
    asked = []
    compute = ray_workers.RayWorkers.compute

    def counted(self, parts, images, **options):
        asked.extend(images)
        compute(self, parts, images, **options)
        assert {path: path.stat().st_mtime_ns for path in before} == before

    monkeypatch.setattr(ray_workers.RayWorkers, "compute", counted)
    assert tlkit(*command).code == 3
    assert len(asked) <= 120 - 15 * len(before) + 1
    (tmp_path / "one").mkdir()
    assert tlkit("extract", images, *SMALL, "-o", tmp_path / "one" / "f.npy").code == 3
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


@pytest.mark.every
def test_an_interrupt_ends_it(images, tmp_path):
    command = ["extract", images, *SMALL, "-o", tmp_path / "f.npy", "--ray", "local", "--workers", "2"]
    driver = subprocess.Popen([*COMMAND, *map(str, command)], env=environment(), stderr=subprocess.PIPE, text=True)
    while not processes("ray::Worker", driver.pid):
        time.sleep(0.05)
        assert driver.poll() is None
    started = processes("", driver.pid)
    driver.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, err = driver.communicate(timeout=20)
    assert driver.returncode == 130
    assert time.monotonic() - start < 5
    assert err.count("run the same command again") == 1
    assert "Interrupted." in err
    time.sleep(2)
    assert not [process for process in started if Path(f"/proc/{process}").exists()]


@pytest.mark.every
def test_a_worker_that_differs_is_refused(images, tmp_path, monkeypatch):
    extractor = toy_extractor()
    parts = Parts(tmp_path / "parts", extractor)
    todo = [(str(images / "000.png"), None)]

    def compute(make):
        with ray_workers.RayWorkers(WorkersOptions(ray="local", workers=1), make) as workers:
            workers.compute(parts, todo, batch_size=None, description="")

    with pytest.raises(TlkitError, match=r"would compute other numbers: pooling max, not avg\."):
        compute(partial(toy_extractor, "max"))
    monkeypatch.setattr(program, "__version__", "99.0")
    with pytest.raises(TlkitError, match=r"tlkit \S+, not 99\.0\."):
        compute(toy_extractor)


@pytest.mark.every
def test_storage_that_workers_do_not_see(tmp_path):
    parts = Parts(tmp_path / "parts", toy_extractor())
    todo = [(str(tmp_path / "elsewhere.png"), b"\0" * 32)]
    with (
        ray_workers.RayWorkers(WorkersOptions(ray="local", workers=1), toy_extractor) as workers,
        pytest.raises(TlkitError, match=r"cannot read .*elsewhere\.png, which the driver can"),
    ):
        workers.compute(parts, todo, batch_size=None, description="")


def test_a_cluster_that_does_not_answer(tlkit, images, tmp_path):
    ran = tlkit("extract", images, *SMALL, "-o", tmp_path / "f.npy", "--ray", "127.0.0.1:1")
    assert ran.code == 1
    assert "Cannot reach Ray at 127.0.0.1:1" in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


def test_without_ray_it_says_so(tlkit, images, tmp_path, monkeypatch):
    monkeypatch.setattr("tlkit.utils.extras.find_spec", lambda name: None if name == "ray" else find_spec(name))
    ran = tlkit("extract", images, "-o", tmp_path / "f.npy", "--ray", "local")
    assert ran.code == 1
    assert "tlkit[ray]" in ran.err
