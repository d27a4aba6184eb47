"""Large images wait for memory, and take no more of it than there is."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from helpers.program import environment
from PIL import Image, ImageFile

from tlkit.data.batches import read_batches
from tlkit.data.images import decode as module
from tlkit.data.images.decode import MAX_SIDE, decode
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.data.memory import MemoryBudget, claims
from tlkit.errors import InputError


def test_threads_wait_for_what_others_hold():
    budget, held, most = MemoryBudget(100), [0], [0]
    lock = threading.Lock()

    def work(count):
        for _ in range(20):
            with claims():
                budget.claim(count)
                budget.claim(count)  # a thread never waits for itself
                with lock:
                    held[0] += min(count, 100)
                    most[0] = max(most[0], held[0])
                time.sleep(0.001)  # so that threads overlap where nothing keeps them apart
                with lock:
                    held[0] -= min(count, 100)

    threads = [threading.Thread(target=work, args=(count,)) for count in (30, 40, 50, 60, 100, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert 0 < most[0] <= 100
    with claims():
        budget.claim(100)  # all of it is back


def test_what_is_claimed_is_given_back_after_an_error():
    budget = MemoryBudget(10)
    with pytest.raises(ValueError), claims():
        budget.claim(10)
        raise ValueError
    with claims():
        budget.claim(10)


@pytest.mark.parametrize("size", [(1, MAX_SIDE + 1), (MAX_SIDE + 1, 1)])
def test_a_side_is_bounded(tmp_path, size):
    Image.new("1", size).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=f"{size[0]}x{size[1]} pixels, and a side may have at most 65,535"):
        decode(tmp_path / "a.png")


@pytest.mark.parametrize("kind", ["png", "tif", "bmp", "webp", "avif"])
def test_an_image_that_needs_too_much_is_refused_before_it_is_decoded(tmp_path, monkeypatch, kind):
    loaded = []
    Image.new("RGBA", (300, 200)).save(tmp_path / f"a.{kind}")
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: loaded.append(image))
    monkeypatch.setattr(module, "MAX_BYTES", 300 * 200 * 4)
    with pytest.raises(InputError, match="300x200 pixels, and decoding it takes .* more than the limit"):
        decode(tmp_path / f"a.{kind}")
    assert not loaded


def test_strips_are_converted_as_the_whole(monkeypatch, chelsea):
    opaque = Image.fromarray(chelsea)
    transparent = opaque.convert("RGBA")
    transparent.putalpha(opaque.convert("L"))
    for image in (opaque.convert("CMYK"), opaque.convert("L"), opaque.quantize(16), transparent):
        whole = np.asarray(module._rgb(image))
        monkeypatch.setattr(module, "_STRIP", 7 * image.width)
        np.testing.assert_array_equal(np.asarray(module._rgb(image)), whole)
        monkeypatch.undo()


def test_all_of_many_large_images_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PIXELS", MemoryBudget(1000))  # every one is larger
    files = []
    for number in range(8):
        files.append(str(tmp_path / f"{number}.png"))
        Image.new("RGB", (40, 30), (number, 0, 0)).save(files[-1])
    batches = list(read_batches(files, ImagePreprocessor((10, 10), "none"), 3, digests=True, workers=4))
    assert np.concatenate([batch.array for batch in batches])[:, 0, 0, 0].tolist() == list(range(8))


PEAK = """
import resource, sys
from tlkit.data.batches import read_batches
from tlkit.data.images.preprocessor import ImagePreprocessor
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
batches = list(read_batches(sys.argv[1:], ImagePreprocessor((224, 224), "none"), 32, digests=True, workers=8))
assert sum(len(batch.positions) for batch in batches) == len(sys.argv) - 1
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.every
def test_memory_does_not_grow_with_the_images_decoded_at_once(tmp_path):
    image = Image.new("RGBA", (8000, 8000), (9, 99, 199, 200))
    files = []
    for kind in ("png", "tif", "bmp"):
        image.save(tmp_path / f"a.{kind}")
        files += [tmp_path / f"a.{kind}"] * 3
    ran = subprocess.run([sys.executable, "-c", PEAK, *files], env=environment(), stdout=subprocess.PIPE, check=True)
    assert int(ran.stdout) < 1000  # MB
