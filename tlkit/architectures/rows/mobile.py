"""MobileNet V1 to V3."""

from __future__ import annotations

from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.rows.published import APPLICATIONS, numbered, published

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
        **published(f"{APPLICATIONS}/mobilenet_v3", (f"{stem}.h5", f"md5:{md5[0]}"),
                     (f"{stem}_no_top_v2.h5", f"md5:{md5[1]}")),
        **row,
    )  # fmt: skip


MOBILENET = (
    Architecture(
        name="mobilenet", title="MobileNet", builder="keras.applications:MobileNet", size=224, least_size=32,
        preprocessing="tf", parameters=4_253_864, size_mb=16, top1=0.704, top5=0.895, depth=55, features=1024,
        blocks=numbered("conv_pw_{}_relu", 1, 13), freeze="conv_pw_11_relu",
        **published(f"{APPLICATIONS}/mobilenet", ("mobilenet_1_0_224_tf.h5", None),
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
        **published(f"{APPLICATIONS}/mobilenet_v2",
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
