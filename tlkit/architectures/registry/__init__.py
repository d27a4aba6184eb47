"""The registry: every architecture as data, family by family.

Sources: builders, default sizes, URLs and hashes from ``keras/src/applications`` (Keras 3.15.1); size in
MB, accuracies and depth from the table on the Keras Applications page; MobileNetV3 top-1 from the table in
``mobilenet_v3.py``; EfficientNet-Lite from the README of ``tpu/models/official/efficientnet/lite``; ResNeXt, which
Keras no longer ships, from keras-applications. Blocks are the layers after which a single tensor (in NASNet two) feeds
the rest of the network; ``tests/architectures`` builds every entry and compares.
"""

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.audio import AUDIO
from tlkit.architectures.registry.classic import DENSENET, INCEPTION, NASNET, RESNET, VGG
from tlkit.architectures.registry.convnext import CONVNEXT
from tlkit.architectures.registry.efficient import EFFICIENTNET, EFFICIENTNET_LITE, EFFICIENTNET_V2
from tlkit.architectures.registry.mobile import MOBILENET
from tlkit.architectures.registry.resnext import RESNEXT

ARCHITECTURES: tuple[Architecture, ...] = (
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
