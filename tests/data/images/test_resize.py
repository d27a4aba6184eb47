import numpy as np
from PIL import Image

from tlkit.data.images.resize import resize


def test_squash_takes_the_whole_image():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, 40:] = 200
    got = resize(Image.fromarray(image), (20, 10), "squash")
    assert got.shape == (20, 10, 3)
    assert got.dtype == np.uint8
    assert (got[:, :4] == 0).all()
    assert (got[:, 6:] == 200).all()


def test_squash_averages_what_it_shrinks():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    got = resize(Image.fromarray(stripes), (8, 8), "squash")
    assert abs(got.astype(int) - 127).max() <= 5


def test_crop_takes_the_middle_in_the_proportions_of_the_input():
    image = np.full((80, 160, 3), 255, np.uint8)
    # the largest centred square is columns 40 to 120; 87.5% of it is rows 5 to 75, columns 45 to 115
    image[5:75, 45:115] = 10
    assert (resize(Image.fromarray(image), (70, 70), "crop") == 10).all()
    assert (resize(Image.fromarray(image), (70, 140), "crop") == 255).any()
