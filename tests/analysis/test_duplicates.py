"""Copies of an image are found, whatever was done to it, and others are not."""

import io

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

from tlkit.analysis.alignment import SIDE
from tlkit.analysis.duplicates import group_numbers, groups_of, near_duplicates


def picture(image):
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.BILINEAR))


def jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


CHANGES = {
    "recompressed": lambda image: jpeg(image, 25),
    "smaller": lambda image: image.resize((61, 58), Image.BICUBIC),
    "larger": lambda image: image.resize((150, 170), Image.BICUBIC),
    "cropped": lambda image: image.crop((3, 1, 93, 92)),
    "cropped at one side": lambda image: image.crop((0, 0, 90, 96)),
    "mirrored": ImageOps.mirror,
    "mirrored and recompressed": lambda image: jpeg(ImageOps.mirror(image), 40),
}


@pytest.fixture(scope="module")
def cut_outs():
    """96 by 96 pixels of photographs and surfaces; none overlap."""
    images = []
    for name in ("astronaut", "chelsea", "coffee", "brick", "grass", "gravel"):
        array = getattr(skimage.data, name)()
        for y in range(0, array.shape[0] - 95, 96):
            images += [
                Image.fromarray(array[y : y + 96, x : x + 96]).convert("RGB") for x in range(0, array.shape[1] - 95, 96)
            ]
    return images[:120]


def no_features(images):
    """Features that are all different: what is found is found by its pixels."""
    return np.eye(len(images), dtype="float32")


@pytest.mark.parametrize("change", CHANGES, ids=lambda name: name.replace(" ", "-"))
def test_every_kind_of_change_is_found(cut_outs, change):
    copies = [CHANGES[change](image) for image in cut_outs[:30]]
    every = [*cut_outs, *copies]
    found = near_duplicates(np.stack([picture(image) for image in every]), no_features(every))
    pairs = {(pair.first, pair.second) for pair in found}
    expected = {(number, len(cut_outs) + number) for number in range(30)}
    assert len(pairs & expected) >= 28  # dark sky and black fur have nothing to recognize
    assert not pairs - expected
    assert all(0.9 < pair.similarity <= 1 for pair in found)


@pytest.mark.every
def test_images_that_are_only_alike_are_no_copies(cut_outs):
    digits = [Image.fromarray((each * 15).astype("uint8")).resize((96, 96)) for each in load_digits().images[:300]]
    faces = [Image.fromarray((each * 255).astype("uint8")) for each in skimage.data.lfw_subset()[:100]]
    random = np.random.default_rng(0)
    noise = [Image.fromarray(random.integers(0, 256, (64, 64), dtype="uint8")) for _ in range(20)]
    plain = [Image.new("L", (40, 40), value) for value in (0, 128, 255)]
    every = [*cut_outs, *digits, *faces, *noise, *plain]
    alike = np.ones((len(every), 4), "float32")  # as if the network saw no difference
    assert near_duplicates(np.stack([picture(image) for image in every]), alike) == []


def test_another_brightness_is_another_image(cut_outs):
    brighter = [image.point(lambda value: value * 0.7 + 70) for image in cut_outs[:10]]
    every = [*cut_outs[:10], *brighter]
    assert near_duplicates(np.stack([picture(image) for image in every]), no_features(every)) == []


def test_groups():
    groups = groups_of([(5, 1), (2, 3), (1, 4), (7, 2)])
    assert groups == [[1, 4, 5], [2, 3, 7]]
    assert group_numbers(8, groups).tolist() == [0, 1, 2, 2, 1, 1, 6, 2]
    assert groups_of([]) == []
