"""Shared fixtures: a way to run the program, real pictures, a cache of its own for every test."""

import ctypes
import gc
import mmap
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from helpers.program import invoke
from helpers.toy import registered
from PIL import Image

from tlkit.utils.interrupt import interrupted

# A shell starts what runs in the background with Ctrl-C ignored, and every process of a test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tlkit():
    """Run the program as a user would: ``tlkit("predict", path)``."""
    return invoke


@pytest.fixture(scope="module")
def toy():
    """The toy base, known by name while the tests of a module run; the option that chooses it."""
    with registered():
        yield "--arch", "toy"


@pytest.fixture(scope="session")
def converted(tmp_path_factory):
    """Networks converted for OpenVINO, kept from test to test, for all workers: each takes TensorFlow seconds."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "converted"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True)
def _give_memory_back():
    """What large networks leave goes back to the system, because the other worker needs it.

    A graph and its constants are a ring that only the collector opens.
    """
    global _held
    yield
    if Path("/proc/self/statm").exists() and _resident() > max(4 * 2**30, _held + 2**30):
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        _held = _resident()  # doing it again for nothing would take seconds a test


_held = 0


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE  # Linux


@pytest.fixture(scope="session", autouse=True)
def _caches_of_the_session(tmp_path_factory, converted):
    """Nothing reads or writes the caches of whoever runs the tests, fixtures of a module neither."""
    with pytest.MonkeyPatch.context() as patch:
        _use_caches(tmp_path_factory.mktemp("caches"), converted, patch)
        patch.delenv("TLKIT_WEIGHTS_MIRROR", raising=False)
        yield


@pytest.fixture(autouse=True)
def _own_caches(tmp_path_factory, monkeypatch, converted):
    """Each test has caches of its own, with the converted networks of all; no interrupt of another test reaches it."""
    interrupted.clear()
    _use_caches(tmp_path_factory.mktemp("caches"), converted, monkeypatch)


def _use_caches(folder, converted, patch):
    (folder / "tlkit").mkdir()
    (folder / "tlkit" / "models").symlink_to(converted)
    patch.setenv("TLKIT_CACHE_DIR", str(folder))
    patch.setenv("KERAS_HOME", str(folder / "keras"))


@pytest.fixture(scope="session")
def chelsea() -> np.ndarray:
    """A photograph of a cat, (300, 451, 3) uint8."""
    return skimage.data.chelsea()


@pytest.fixture
def cat(tmp_path, chelsea) -> Path:
    path = tmp_path / "cat.png"
    Image.fromarray(chelsea).save(path)
    return path


@pytest.fixture(scope="session")
def textures(tmp_path_factory) -> Path:
    """Class folders of two real textures: 8 cut-outs to train on and 4 to validate with, of other regions."""
    root = tmp_path_factory.mktemp("textures")
    random = np.random.default_rng(0)
    for name in ("brick", "grass"):
        photograph = getattr(skimage.data, name)()
        for split, left, right, count in (("train", 0, 300, 8), ("validation", 340, 512, 4)):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                x, y = random.integers(left, right - 96), random.integers(0, 512 - 96)
                cut = photograph[y : y + 96, x : x + 96]
                Image.fromarray(cut).save(root / split / name / f"{number}.png")
    return root


def save_noise(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30)) -> Path:
    """A small picture that no other seed gives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def noise():
    return save_noise
