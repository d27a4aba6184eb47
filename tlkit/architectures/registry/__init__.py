"""The rows: every architecture, family by family.

Sources: builders, default sizes, addresses and hashes from ``keras/src/applications`` (Keras 3.15.1); size in
MB, accuracies and depth from the table on the Keras Applications page; MobileNetV3 top-1 from the table in
``mobilenet_v3.py``; EfficientNet-Lite from the README of ``tpu/models/official/efficientnet/lite``; ResNeXt, which
Keras ships no more, from keras-applications. Blocks are the layers after which one tensor (in NASNet two) carries
everything on; ``tests/architectures`` builds every row and compares.
"""

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.audio import AUDIO
from tlkit.architectures.registry.classic import DENSENET, INCEPTION, NASNET, RESNET, VGG
from tlkit.architectures.registry.convnext import CONVNEXT
from tlkit.architectures.registry.efficient import EFFICIENTNET, EFFICIENTNET_LITE, EFFICIENTNET_V2
from tlkit.architectures.registry.mobile import MOBILENET
from tlkit.architectures.registry.resnext import RESNEXT

ROWS: tuple[Architecture, ...] = (
    *EFFICIENTNET_LITE,
    *VGG,
    *RESNET,
    *RESNEXT,
    *INCEPTION,
    *MOBILENET,
    *DENSENET,
    *NASNET,
    *EFFICIENTNET,
    *EFFICIENTNET_V2,
    *CONVNEXT,
    *AUDIO,
)
