import time

import numpy as np
import pytest

from tlkit.data.batches import read_batches
from tlkit.data.images.preprocessor import ImagePreprocessor

PREPROCESSOR = ImagePreprocessor((8, 6), "none")


def load_array(file):
    return PREPROCESSOR.to_array(PREPROCESSOR.load(file))


@pytest.mark.parametrize("count", [1, 4, 7, 8, 9])
def test_every_image_is_one_row_in_order(tmp_path, noise, count):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(count)]
    batches = list(read_batches(files, PREPROCESSOR, 4))
    assert [position for batch in batches for position in batch.positions] == list(range(count))
    assert [len(batch.positions) for batch in batches[:-1]] == [4] * (len(batches) - 1)
    rows = np.concatenate([batch.array for batch in batches])
    assert rows.shape == (count, 8, 6, 3)
    for row, file in zip(rows, files, strict=True):
        np.testing.assert_array_equal(row, load_array(file))


def test_bad_images_are_named_and_rows_stay_aligned(tmp_path, noise):
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


def test_order_is_kept_when_images_take_unequal_time(tmp_path, noise, monkeypatch):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(12)]
    slow = ImagePreprocessor.load

    def sometimes_slow(self, source):
        time.sleep(0.05 if source == files[0] else 0)
        return slow(self, source)

    monkeypatch.setattr(ImagePreprocessor, "load", sometimes_slow)
    batches = list(read_batches(files, PREPROCESSOR, 5, workers=4))
    assert [position for batch in batches for position in batch.positions] == list(range(12))


def test_only_a_few_images_are_read_ahead(tmp_path, noise, monkeypatch):
    file = str(noise(tmp_path / "a.png"))
    read, real = [], ImagePreprocessor.load
    monkeypatch.setattr(ImagePreprocessor, "load", lambda self, source: (read.append(1), real(self, source))[1])
    batches = read_batches([file] * 1000, PREPROCESSOR, 4, workers=2)
    next(batches)
    time.sleep(0.1)
    assert len(read) <= 12
    batches.close()


def test_the_first_images_can_be_kept(tmp_path, noise):
    files = [str(noise(tmp_path / f"{number}.png", number, (600, 900))) for number in range(3)]
    (batch,) = read_batches(files, PREPROCESSOR, 8, thumbnails=2)
    assert [image.size for image in batch.thumbnails] == [(480, 320)] * 2
