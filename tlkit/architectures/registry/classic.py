"""VGG, ResNet, Inception, Xception, DenseNet, NASNet."""

from __future__ import annotations

from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.published import APPLICATIONS, kernels, numbered, residual_blocks
from tlkit.downloads.weights_file import WeightsFile

# --- VGG -------------------------------------------------------------------------------------------------


def _vgg(title: str, **fields: Any) -> Architecture:
    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=224, min_size=32,
        preprocessing="caffe", features=512, blocks=numbered("block{}_pool", 1, 5), freeze="block4_pool",
        fixed_top=True, **fields,
    )  # fmt: skip


VGG = (
    _vgg("VGG16", parameters=138_357_544, size_mb=528, top1=0.713, top5=0.901, depth=16,
         **kernels("vgg16", "vgg16", "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc")),
    _vgg("VGG19", parameters=143_667_240, size_mb=549, top1=0.713, top5=0.900, depth=19,
         **kernels("vgg19", "vgg19", "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6")),
)  # fmt: skip

# --- ResNet ----------------------------------------------------------------------------------------------


def _resnet(title: str, stages: tuple[int, int, int, int], *md5: str, **fields: Any) -> Architecture:
    blocks = residual_blocks(stages)
    second = title.endswith("V2")
    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=224, min_size=32,
        preprocessing="tf" if second else "caffe", features=2048,
        blocks=(*blocks, "post_relu") if second else blocks,
        freeze=f"conv4_block{stages[2]}_out", **kernels("resnet", title.lower(), *md5), **fields,
    )  # fmt: skip


def _resnet50_old_names() -> dict[str, str]:
    """Return the names of ResNet50's layers until keras-applications 1.0.6, and today's.

    The order differs too: the shortcut of a block came after its second convolution and comes first now, and the two
    convolutions before the sum have equal shapes. Source: keras 1.2.2, ``applications/resnet50.py``.
    """
    names = {"conv1": "conv1_conv", "bn_conv1": "conv1_bn", "fc1000": "predictions"}
    for stage, blocks in zip((2, 3, 4, 5), (3, 4, 6, 3), strict=True):
        for block in range(blocks):
            for old, new in (("2a", 1), ("2b", 2), ("2c", 3), *([("1", 0)] if block == 0 else ())):
                place, today = f"{stage}{'abcdef'[block]}_branch{old}", f"conv{stage}_block{block + 1}_{new}"
                names |= {f"res{place}": f"{today}_conv", f"bn{place}": f"{today}_bn"}
    return names


RESNET = (
    _resnet("ResNet50", (3, 4, 6, 3), "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626",
            old_names=_resnet50_old_names(), parameters=25_636_712, size_mb=98, top1=0.749, top5=0.921, depth=107),
    _resnet("ResNet101", (3, 4, 23, 3), "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21",
            parameters=44_707_176, size_mb=171, top1=0.764, top5=0.928, depth=209),
    _resnet("ResNet152", (3, 8, 36, 3), "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c",
            parameters=60_419_944, size_mb=232, top1=0.766, top5=0.931, depth=311),
    _resnet("ResNet50V2", (3, 4, 6, 3), "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917",
            parameters=25_613_800, size_mb=98, top1=0.760, top5=0.930, depth=103),
    _resnet("ResNet101V2", (3, 4, 23, 3), "6343647c601c52e1368623803854d971",
            "c0ed64b8031c3730f411d2eb4eea35b5",
            parameters=44_675_560, size_mb=171, top1=0.772, top5=0.938, depth=205),
    _resnet("ResNet152V2", (3, 8, 36, 3), "a49b44d1979771252814e80f8ec446f9",
            "ed17cf2e0169df9d443503ef94b23b33",
            parameters=60_380_648, size_mb=232, top1=0.780, top5=0.942, depth=307),
)  # fmt: skip

# --- Inception and Xception --------------------------------------------------------------------------------

INCEPTION = (
    Architecture(
        name="xception", title="Xception", builder="keras.applications:Xception", size=299, min_size=71,
        preprocessing="tf", parameters=22_910_480, size_mb=88, top1=0.790, top5=0.945, depth=81, features=2048,
        blocks=("block1_conv2_act", *("add", *numbered("add_{}", 1, 11)), "block14_sepconv2_act"),
        freeze="add_10",
        **kernels("xception", "xception", "0a58e3b7378bc2990ea3b43d5981f1f6",
                   "b0042744bf5b25fce3cb969f33bebb97"),
    ),
    Architecture(
        name="inceptionv3", title="InceptionV3", builder="keras.applications:InceptionV3", size=299,
        min_size=75, preprocessing="tf", parameters=23_851_784, size_mb=92, top1=0.779, top5=0.937,
        depth=189, features=2048, blocks=numbered("mixed{}", 0, 10), freeze="mixed8",
        # Keras 1 counted 2 layers a convolution; mixed8 was layer 172 of 217. Today it is 248 of 311.
        keras1_freeze={172: "mixed8"},
        **kernels("inception_v3", "inception_v3", "9a0d58056eeedaa3f26cb7ebd46da564",
                   "bcbd6486424b2319ff4ef7d526e38f63"),
    ),
    Architecture(
        name="inceptionresnetv2", title="InceptionResNetV2", builder="keras.applications:InceptionResNetV2",
        size=299, min_size=75, preprocessing="tf", parameters=55_873_736, size_mb=215, top1=0.803,
        top5=0.953, depth=449, features=1536,
        blocks=(
            "mixed_5b", *numbered("block35_{}_ac", 1, 10), "mixed_6a", *numbered("block17_{}_ac", 1, 20),
            "mixed_7a", *numbered("block8_{}_ac", 1, 9), "custom_scale_layer_39", "conv_7b_ac",
        ),
        freeze="mixed_7a",
        **kernels("inception_resnet_v2", "inception_resnet_v2", "e693bd0210a403b3192acc6073ad2e96",
                   "d19885ff4a710c122648d3b5c3b684e4"),
    ),
)  # fmt: skip

# --- DenseNet ----------------------------------------------------------------------------------------------


def _densenet(title: str, *md5: str, **fields: Any) -> Architecture:
    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=224, min_size=32,
        channels_first=False, preprocessing="torch", blocks=("pool1", "pool2_pool", "pool3_pool", "pool4_pool", "relu"),
        freeze="pool4_pool", **kernels("densenet", title.lower(), *md5), **fields,
    )  # fmt: skip


DENSENET = (
    _densenet("DenseNet121", "9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738",
              parameters=8_062_504, size_mb=33, top1=0.750, top5=0.923, depth=242, features=1024),
    _densenet("DenseNet169", "d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b",
              parameters=14_307_880, size_mb=57, top1=0.762, top5=0.932, depth=338, features=1664),
    _densenet("DenseNet201", "1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1",
              parameters=20_242_984, size_mb=80, top1=0.773, top5=0.936, depth=402, features=1920),
)  # fmt: skip

# --- NASNet ------------------------------------------------------------------------------------------------


def _nasnet(kind: str, cells: int, last: str, *md5: str, **fields: Any) -> Architecture:
    first, second = cells, 2 * cells  # normal cells stand in three groups, a reduction cell between them
    folder = f"{APPLICATIONS}/nasnet"
    return Architecture(
        name=f"nasnet{kind}", title=f"NASNet{kind.title()}",
        builder=f"keras.applications:NASNet{kind.title()}", min_size=32, preprocessing="tf",
        channels_first=False,
        blocks=(
            "reduction_concat_stem_1", "reduction_concat_stem_2",
            *numbered("normal_concat_{}", 0, first - 1), f"reduction_concat_reduce_{first}",
            *numbered("normal_concat_{}", first + 1, second), f"reduction_concat_reduce_{second}",
            *numbered("normal_concat_{}", second + 1, 3 * cells), last,
        ),
        freeze=f"normal_concat_{3 * cells - 2}",
        with_top=WeightsFile(f"nasnet_{kind}.h5", f"{folder}/NASNet-{kind}.h5", f"md5:{md5[0]}"),
        without_top=WeightsFile(
            f"nasnet_{kind}_no_top.h5", f"{folder}/NASNet-{kind}-no-top.h5", f"md5:{md5[1]}"
        ),
        **fields,
    )  # fmt: skip


NASNET = (
    _nasnet("mobile", 4, "activation_187", "020fb642bf7360b370c678b08e0adf61",
            "1ed92395b5b598bdda52abe5c0dbfd63", size=224,
            parameters=5_326_716, size_mb=23, top1=0.744, top5=0.919, depth=389, features=1056),
    _nasnet("large", 6, "activation_259", "11577c9a518f0070763c2b964a382f17",
            "d81d89dc07e6e56530c4e77faddd61b5", size=331,
            parameters=88_949_818, size_mb=343, top1=0.825, top5=0.960, depth=533, features=4032),
)  # fmt: skip
