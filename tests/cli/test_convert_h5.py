"""`tlkit convert-h5`: what `inspect-h5 --arch` says loads, written as today's file."""

import numpy as np
import pytest


@pytest.mark.every
def test_whether_it_loads_and_how(tlkit, tmp_path):
    from tlkit.architectures.build import build
    from tlkit.architectures.registry.lookup import get_architecture

    model = build(get_architecture("mobilenetv2"), include_top=False, size=(32, 32))
    model.save_weights(tmp_path / "base.weights.h5")
    fits = tlkit("inspect-h5", tmp_path / "base.weights.h5", "--arch", "mobilenetv2", "--format", "json")
    assert fits.code == 0
    with_top, without = fits.json["loading"]["ways"]
    assert not with_top["loads"] and [layer["layer"] for layer in with_top["missing"]] == ["predictions"]
    assert without["loads"] and "--arch mobilenetv2 --weights" in without["commands"][0]
    other = tlkit("inspect-h5", tmp_path / "base.weights.h5", "--arch", "vgg16")
    assert other.code == 1
    assert "Does not load into vgg16" in other.out and "block1_conv1" in other.out

    done = tlkit("convert-h5", tmp_path / "base.weights.h5", tmp_path / "again.weights.h5", "--arch", "mobilenetv2")
    assert done.code == 0, done.err
    copy = build(get_architecture("mobilenetv2"), include_top=False, size=(32, 32))
    copy.load_weights(tmp_path / "again.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(copy.get_weights(), model.get_weights(), strict=True))
    refused = tlkit("convert-h5", tmp_path / "base.weights.h5", tmp_path / "again.weights.h5", "--arch", "mobilenetv2")
    assert refused.code == 2 and "--force" in refused.err
    assert tlkit("convert-h5", tmp_path / "base.weights.h5", tmp_path / "v.weights.h5", "--arch", "vgg16").code == 1
    assert not (tmp_path / "v.weights.h5").exists()
