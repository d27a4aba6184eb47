"""Since which Keras each layer exists: a file that an older one wrote means a custom class of the same name.

Sources: the class definitions at every tag of Keras, 0.1.0 to 3.15.1, and for Keras inside TensorFlow 1.4 to 2.5 the
releases of TensorFlow.
"""

from __future__ import annotations

import re

from tlkit.keras_files.upgrade import allowlist


def _by_name(text: str) -> dict[str, str]:
    """Turn lines of a version and names into ``{name: version}``."""
    return {name: version for version, *names in map(str.split, text.strip().splitlines()) for name in names}


# What is not here is older than all files with a recorded version.
_LAYERS = _by_name("""
    1.0.6 SeparableConv2D
    1.0.8 Bidirectional Cropping1D Cropping2D Cropping3D SpatialDropout2D SpatialDropout3D
    1.1.0 GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D GlobalMaxPooling2D
    1.1.1 GlobalAveragePooling3D GlobalMaxPooling3D
    1.1.2 ConvLSTM2D SpatialDropout1D
    2.0.0 Add Average Concatenate Conv1D Conv2D Conv2DTranspose Conv3D Dot Maximum Multiply
    2.0.6 AlphaDropout Conv3DTranspose
    2.0.7 Subtract
    2.0.9 GRUCell LSTMCell Minimum RNN SimpleRNNCell StackedRNNCells
    2.1.3 SeparableConv1D Softmax
    2.2.0 ReLU
    2.4.0 AdditiveAttention Attention CategoryEncoding CenterCrop Conv1DTranspose Discretization EinsumDense Hashing
    2.4.0 LayerNormalization MultiHeadAttention Normalization RandomContrast RandomCrop RandomFlip RandomHeight
    2.4.0 RandomRotation RandomTranslation RandomWidth RandomZoom Rescaling Resizing SyncBatchNormalization
    2.6.0 ConvLSTM1D ConvLSTM3D
    2.7.0 DepthwiseConv1D
    2.8.0 HashedCrossing
    2.9.0 RandomBrightness UnitNormalization
    2.10.0 LayerScale StochasticDepth
    2.11.0 GroupNormalization
    2.12.0 CustomScaleLayer Identity
    2.13.1 SpectralNormalization
    3.0.0 GroupQueryAttention
    3.6.0 AutoContrast Solarization
    3.8.0 Equalization MixUp RandAugment RandomColorDegeneration RandomColorJitter RandomGrayscale RandomHue
    3.8.0 RandomPosterization RandomSaturation RandomSharpness RandomShear
    3.9.0 AugMix CutMix RMSNormalization RandomErasing RandomGaussianBlur RandomInvert RandomPerspective
    3.10.0 RandomElasticTransform
    3.12.0 ReversibleEmbedding
    3.13.0 AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    3.13.0 AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D
    3.14.0 ContrastLimitedAdaptiveHistogramEqualization
""")
# Keras inside TensorFlow until 2.2, whose versions end in -tf, was ahead.
_LAYERS_TENSORFLOW = _by_name("""
    2.2.4 AdditiveAttention Attention LayerNormalization Normalization
    2.3.0 CenterCrop RandomContrast RandomCrop RandomFlip RandomHeight RandomRotation RandomTranslation RandomWidth
    2.3.0 RandomZoom Rescaling Resizing SyncBatchNormalization
""")
# Only functions of which several are in use under one name: swish, mish and relu6 are the same everywhere.
_ACTIVATIONS = _by_name("""
    2.4.0 gelu leaky_relu
    3.7.0 celu glu hard_shrink hard_tanh soft_shrink squareplus
    3.8.0 sparse_plus threshold
    3.10.0 sparse_sigmoid
""")


def custom_before(name: str, version: str | None, *, activation: bool = False) -> str | None:
    """Return the version of Keras that first had a layer or activation, if a file is older than that; else None.

    Args:
        name: Class of a layer, or name of an activation, that Keras 3 has.
        version: Of the Keras that wrote the file (``2.2.4``, ``2.2.4-tf``); None if the file does not record it.
        activation: Whether it is an activation.
    """
    number = _number(version or "")
    if number is None:
        return None
    inside_tensorflow = "-tf" in (version or "")
    if activation:
        # tf.nn.leaky_relu could be given as an activation as long as there is Keras inside TensorFlow.
        first = None if inside_tensorflow and name == "leaky_relu" else _ACTIVATIONS.get(name)
    else:
        operation = name not in allowlist.LAYERS and allowlist.operations_module(name) is not None
        first = "3.0.0" if operation else _LAYERS.get(name)
    least = _number(first or "")
    if first is None or least is None:
        return None
    if inside_tensorflow and not activation:
        if least < (2, 4, 0):
            return None
        first = _LAYERS_TENSORFLOW.get(name, first)
        least = _number(first) or least
    return first if number < least else None


def _number(version: str) -> tuple[int, int, int] | None:
    match = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None
