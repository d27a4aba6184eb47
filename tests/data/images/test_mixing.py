"""Images of a batch are mixed, and their labels by the same shares."""

import numpy as np
import pytest

from tlkit.data.images.mixing import Mixer

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 20, 30, 3), dtype=np.uint8)
SAMPLES = np.array([4, 2, 9, 0, 1, 7])


def mixes(mixup=None, cutmix=None, count=40):
    mixer = Mixer(mixup, cutmix, (20, 30), seed=1)
    return [mixer.draw(SAMPLES, epoch) for epoch in range(count)]


def test_blended_images_are_between_the_two():
    shares = []
    for mix in mixes(mixup=1.0):
        expected = mix.share * PIXELS.astype(float) + (1 - mix.share) * PIXELS[mix.partners]
        mixed = mix.pixels(PIXELS)
        assert mixed.dtype == np.uint8
        assert np.abs(mixed - expected).max() <= 0.51
        shares.append(mix.share)
    assert min(shares) < 0.2 < 0.8 < max(shares)


def test_a_box_comes_from_the_other_image_and_its_area_is_the_label():
    ones = np.zeros((2, 20, 30, 3), np.uint8)
    ones[1] = 1
    sizes = set()
    for mix in mixes(cutmix=1.0):
        partners = np.array([1, 0])
        mixed = type(mix)(partners, mix.share, mix.box).pixels(ones)
        assert mixed[0].mean() == pytest.approx(1 - mix.share)
        assert mixed[1].mean() == pytest.approx(mix.share)
        sizes.add(int(mixed[0, :, :, 0].sum()))
    assert len(sizes) > 20
    np.testing.assert_array_equal(PIXELS, np.random.default_rng(0).integers(0, 256, (6, 20, 30, 3), dtype=np.uint8))


def test_labels_are_mixed_alike():
    labels = np.eye(3, dtype="float32")[[0, 1, 2, 0, 1, 2]]
    for mix in mixes(mixup=1.0, cutmix=1.0):
        mixed = mix.labels(labels)
        np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(mixed, mix.share * labels + (1 - mix.share) * labels[mix.partners], rtol=1e-6)


def test_with_both_each_batch_draws_one():
    kinds = [mix.box is None for mix in mixes(mixup=0.4, cutmix=1.0)]
    assert 5 < sum(kinds) < 35
    assert all(mix.box is None for mix in mixes(mixup=0.4))
    assert not any(mix.box is None for mix in mixes(cutmix=0.4))


def test_the_draw_depends_on_seed_epoch_and_batch_alone():
    mixer = Mixer(1.0, None, (20, 30), seed=1)
    one, other = mixer.draw(SAMPLES, 3), mixer.draw(SAMPLES, 3)
    assert one.share == other.share
    np.testing.assert_array_equal(one.partners, other.partners)
    assert one.share != mixer.draw(SAMPLES, 4).share
    assert one.share != mixer.draw(SAMPLES[1:], 3).share
    assert one.share != Mixer(1.0, None, (20, 30), seed=2).draw(SAMPLES, 3).share
