import hashlib
import pathlib
import threading
from concurrent.futures import Future

import numpy as np
import pytest

from tlkit.data.batches import read_batches
from tlkit.data.images.preprocessor import ImagePreprocessor

PREPROCESSOR = ImagePreprocessor((8, 6), "none")


def load_array(file):
    return PREPROCESSOR.to_array(PREPROCESSOR.load(file))


@pytest.mark.parametrize("count", [1, 4, 7, 8, 9])
def test_every_image_is_one_sample_in_order(tmp_path, noise, count):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(count)]
    batches = list(read_batches(files, PREPROCESSOR, 4))
    assert [position for batch in batches for position in batch.positions] == list(range(count))
    assert [len(batch.positions) for batch in batches[:-1]] == [4] * (len(batches) - 1)
    rows = np.concatenate([batch.array for batch in batches])
    assert rows.shape == (count, 8, 6, 3)
    for row, file in zip(rows, files, strict=True):
        np.testing.assert_array_equal(row, load_array(file))


def test_unreadable_images_are_named_and_samples_stay_aligned(tmp_path, noise):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(9)]
    for number in (0, 4, 8):
        (tmp_path / f"{number}.png").write_text("not an image")
    batches = list(read_batches(files, PREPROCESSOR, 3))
    positions = [position for batch in batches for position in batch.positions]
    assert positions == [1, 2, 3, 5, 6, 7]
    assert [position for batch in batches for position, _ in batch.failed] == [0, 4, 8]
    rows = np.concatenate([batch.array for batch in batches])
    for row, position in zip(rows, positions, strict=True):
        np.testing.assert_array_equal(row, load_array(files[position]))


def test_urls_are_fetched_side_by_side(monkeypatch, noise, tmp_path):
    content = noise(tmp_path / "x.png", 0).read_bytes()
    together, downloaded = threading.Barrier(6), []

    def fetch(url, **options):
        together.wait(30)  # no answer until six are asked for
        return content

    monkeypatch.setattr("tlkit.data.url.fetch", fetch)
    urls = [f"http://h/{number}.png" for number in range(6)]
    (batch,) = read_batches(urls, PREPROCESSOR, 6, on_download=downloaded.append)
    assert batch.positions == (0, 1, 2, 3, 4, 5)
    assert sorted(downloaded) == [1, 2, 3, 4, 5, 6]


def test_order_is_kept_when_the_first_image_is_the_last_to_be_decoded(tmp_path, noise, monkeypatch):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(12)]
    load, others = ImagePreprocessor.load, threading.Event()

    def first_waits_for_the_fourth(self, source):
        if source == files[0]:
            assert others.wait(30)
        if source == files[3]:
            others.set()
        return load(self, source)

    monkeypatch.setattr(ImagePreprocessor, "load", first_waits_for_the_fourth)
    batches = list(read_batches(files, PREPROCESSOR, 5, workers=2))
    assert [position for batch in batches for position in batch.positions] == list(range(12))
    np.testing.assert_array_equal(batches[0].array[0], load_array(files[0]))


def test_decoding_is_ahead_by_so_many_bytes(tmp_path, noise, monkeypatch):
    class ImmediateExecutor:
        """Runs a task when it is submitted: what was decoded is what was asked for, whatever the threads."""

        def __init__(self, *_, **__):
            pass

        def submit(self, function, *arguments):
            future = Future()
            future.set_result(function(*arguments))
            return future

        def shutdown(self, **_):
            pass

    monkeypatch.setattr("tlkit.data.batches.ThreadPoolExecutor", ImmediateExecutor)
    monkeypatch.setattr("tlkit.data.batches.AHEAD_BYTES", 8 * load_array(str(noise(tmp_path / "a.png"))).nbytes)
    decoded = []
    load = ImagePreprocessor.load
    monkeypatch.setattr(ImagePreprocessor, "load", lambda self, source: decoded.append(source) or load(self, source))
    batches = read_batches([str(noise(tmp_path / "a.png"))] * 1000, PREPROCESSOR, 4)
    assert decoded == []
    for count in (12, 16, 20):  # the batch itself, and eight ahead
        next(batches)
        assert len(decoded) == count
    batches.close()


def test_the_first_images_come_with_thumbnails(tmp_path, noise):
    files = [str(noise(tmp_path / f"{number}.png", number, (600, 900))) for number in range(3)]
    (batch,) = read_batches(files, PREPROCESSOR, 8, thumbnails=2)
    assert [image.size for image in batch.thumbnails] == [(480, 320)] * 2
    np.testing.assert_array_equal(batch.array[0], load_array(files[0]))  # a thumbnail leaves the image as it is


def test_digests_are_those_of_the_files(tmp_path, noise):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(3)]
    (tmp_path / "1.png").write_text("not an image")
    (batch,) = read_batches(files, PREPROCESSOR, 8, digests=True)
    assert batch.digests == tuple(
        hashlib.sha256(pathlib.Path(files[number]).read_bytes()).digest() for number in (0, 2)
    )
