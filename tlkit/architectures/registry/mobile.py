"""MobileNet V1 to V3: the networks whose width can be chosen, with weights for several widths and input sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.published import APPLICATIONS, numbered, published

_V1_WIDTHS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}
_V2_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)

_V2_ADDS = {2, 4, 5, 7, 8, 9, 11, 12, 14, 15}
_V3_SMALL_ADDS = {2, 4, 5, 7, 9, 10}
_V3_LARGE_ADDS = {0, 2, 4, 5, 7, 8, 9, 11, 13, 14}


# Each (with top, without), by width.
_V3_MD5 = {
    "small": {0.75: ("cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
              1.0: ("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836")},
    "large": {0.75: ("765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
              1.0: ("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389")},
}  # fmt: skip

_Variant = tuple[float, int]
"""Width, and input height and width."""


def _variants(folder: str, pairs: Mapping[_Variant, tuple[tuple[str, str | None], tuple[str, str | None]]]) -> Any:
    """Return the files of every width and input size, given as ``(name, digest)`` with top and without."""
    files = {key: published(f"{APPLICATIONS}/{folder}", *pair) for key, pair in pairs.items()}
    return {
        **files[1.0, 224],
        "variants": {key: (pair["with_top"], pair["without_top"]) for key, pair in files.items()},
        "alphas": tuple(dict.fromkeys(alpha for alpha, _ in pairs)),
    }


def _unhashed(stems: Mapping[_Variant, str]) -> Any:
    """Return files that Keras publishes no hashes of."""
    return {key: ((f"{stem}.h5", None), (f"{stem}_no_top.h5", None)) for key, stem in stems.items()}


def _mobilenet_v3(title: str, adds: set[int], count: int, last: str, **fields: Any) -> Architecture:
    kind = title.removeprefix("MobileNetV3").lower()

    def end(number: int) -> str:
        block = f"expanded_conv_{number}" if number else "expanded_conv"
        return f"{block}_add" if number in adds else f"{block}_project_bn"

    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=224, min_size=32,
        preprocessing="none", top5=None, depth=None, blocks=(*(end(n) for n in range(count)), last),
        freeze=end(count - 3),
        **_variants("mobilenet_v3", {
            (alpha, 224): ((f"weights_mobilenet_v3_{kind}_224_{alpha}_float.h5", f"md5:{top}"),
                           (f"weights_mobilenet_v3_{kind}_224_{alpha}_float_no_top_v2.h5", f"md5:{no_top}"))
            for alpha, (top, no_top) in _V3_MD5[kind].items()
        }),
        **fields,
    )  # fmt: skip


MOBILENET = (
    Architecture(
        name="mobilenet", title="MobileNet", builder="keras.applications:MobileNet", size=224, min_size=32,
        preprocessing="tf", parameters=4_253_864, size_mb=16, top1=0.704, top5=0.895, depth=55, features=1024,
        blocks=numbered("conv_pw_{}_relu", 1, 13), freeze="conv_pw_11_relu",
        depth_multiplier=True,
        **_variants("mobilenet", _unhashed({
            (alpha, size): f"mobilenet_{text}_{size}_tf"
            for alpha, text in _V1_WIDTHS.items() for size in (128, 160, 192, 224)
        })),
    ),
    Architecture(
        name="mobilenetv2", title="MobileNetV2", builder="keras.applications:MobileNetV2", size=224,
        min_size=32, preprocessing="tf", parameters=3_538_984, size_mb=14, top1=0.713, top5=0.901,
        depth=105, features=1280,
        blocks=(
            "expanded_conv_project_BN",
            *(f"block_{n}_add" if n in _V2_ADDS else f"block_{n}_project_BN" for n in range(1, 17)),
            "out_relu",
        ),
        freeze="block_14_add",
        **_variants("mobilenet_v2", _unhashed({
            (alpha, size): f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{alpha}_{size}"
            for alpha in _V2_WIDTHS for size in ((224,) if alpha > 1 else (96, 128, 160, 192, 224))
        })),
    ),
    _mobilenet_v3("MobileNetV3Small", _V3_SMALL_ADDS, 11, "activation_17",
                  parameters=2_554_968, size_mb=10, top1=0.681, features=576),
    _mobilenet_v3("MobileNetV3Large", _V3_LARGE_ADDS, 15, "activation_19",
                  parameters=5_507_432, size_mb=21, top1=0.756, features=960),
)  # fmt: skip
