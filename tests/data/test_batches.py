import time

import numpy as np
import pytest

from tlkit.data.batches import read_batches
from tlkit.data.images.preprocessor import ImagePreprocessor

LOOK = ImagePreprocessor((8, 6), "none")


@pytest.mark.parametrize("count", [1, 4, 7, 8, 9])
def test_every_picture_is_one_row_in_order(tmp_path, noise, count):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(count)]
    batches = list(read_batches(files, LOOK, 4))
    assert [position for batch in batches for position in batch.positions] == list(range(count))
    assert [len(batch.positions) for batch in batches[:-1]] == [4] * (len(batches) - 1)
    rows = np.concatenate([batch.pixels for batch in batches])
    assert rows.shape == (count, 8, 6, 3)
    for row, file in zip(rows, files, strict=True):
        np.testing.assert_array_equal(row, LOOK.read(file))


def test_bad_pictures_are_named_and_rows_stay_aligned(tmp_path, noise):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(9)]
    for number in (0, 4, 8):
        (tmp_path / f"{number}.png").write_text("not a picture")
    batches = list(read_batches(files, LOOK, 3))
    positions = [position for batch in batches for position in batch.positions]
    assert positions == [1, 2, 3, 5, 6, 7]
    assert [position for batch in batches for position, _ in batch.failed] == [0, 4, 8]
    rows = np.concatenate([batch.pixels for batch in batches])
    for row, position in zip(rows, positions, strict=True):
        np.testing.assert_array_equal(row, LOOK.read(files[position]))


def test_order_is_kept_when_pictures_take_unequal_time(tmp_path, noise, monkeypatch):
    files = [str(noise(tmp_path / f"{number}.png", number)) for number in range(12)]
    slow = ImagePreprocessor.open

    def sometimes_slow(self, source, **asked):
        time.sleep(0.05 if source == files[0] else 0)
        return slow(self, source, **asked)

    monkeypatch.setattr(ImagePreprocessor, "open", sometimes_slow)
    batches = list(read_batches(files, LOOK, 5, workers=4))
    assert [position for batch in batches for position in batch.positions] == list(range(12))


def test_only_a_few_pictures_are_read_ahead(tmp_path, noise, monkeypatch):
    file = str(noise(tmp_path / "a.png"))
    read, real = [], ImagePreprocessor.open
    monkeypatch.setattr(
        ImagePreprocessor, "open", lambda self, source, **asked: (read.append(1), real(self, source, **asked))[1]
    )
    batches = read_batches([file] * 1000, LOOK, 4, workers=2)
    next(batches)
    time.sleep(0.1)
    assert len(read) <= 12
    batches.close()


def test_the_first_pictures_can_be_kept(tmp_path, noise):
    files = [str(noise(tmp_path / f"{number}.png", number, (600, 900))) for number in range(3)]
    (batch,) = read_batches(files, LOOK, 8, keep_pictures=2)
    assert [picture.size for picture in batch.pictures] == [(480, 320)] * 2
