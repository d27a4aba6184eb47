"""Layers that only work while training."""

from __future__ import annotations

from tlkit.inference.compiler.layers.table import LAYERS
from tlkit.inference.compiler.row import Layer
from tlkit.inference.compiler.tensors import (
    Tensor,
)


@LAYERS.row(
    "ActivityRegularization", "AlphaDropout", "AugMix", "CutMix", "Dropout", "GaussianDropout", "GaussianNoise",
    "Identity", "MixUp", "RandAugment", "RandomBrightness", "RandomColorDegeneration", "RandomColorJitter",
    "RandomContrast", "RandomElasticTransform", "RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale",
    "RandomHue", "RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation",
    "RandomSharpness", "RandomShear", "RandomTranslation", "RandomZoom", "Solarization", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D", "StochasticDepth",
)  # fmt: skip
def _unchanged(layer: Layer) -> Tensor:
    layer.settings.skip(
        "drop_path_rate", "l1", "l2", "stddev", "factor", "value_range", "mode", "data_format", "fill_mode",
        "fill_value", "interpolation", "height_factor", "width_factor", "x_factor", "y_factor", "brightness_factor",
        "contrast_factor", "hue_factor", "saturation_factor", "addition_factor", "threshold_factor", "scale", "sigma",
        "kernel_size", "alpha", "all_ops", "chain_depth", "num_chains", "num_ops",
    )  # fmt: skip
    return layer.input
