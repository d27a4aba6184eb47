"""ConvNeXt."""

from __future__ import annotations

from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.published import APPLICATIONS, published


def _convnext(
    variant: str, stages: tuple[int, int, int, int], *sha256: str, size_mb: int, **fields: Any
) -> Architecture:
    title, stem = f"ConvNeXt{variant}", f"convnext_{variant.lower()}"
    blocks = tuple(
        f"{stem}_stage_{stage}_block_{block}_identity" for stage, count in enumerate(stages) for block in range(count)
    )
    return Architecture(
        name=title.lower(), title=title, builder=f"keras.applications:{title}", size=224, min_size=32,
        preprocessing="none", channels_first=False, size_mb=size_mb, top5=None, depth=None,
        blocks=(*blocks, "layer_normalization"),
        freeze=f"{stem}_stage_2_block_{stages[2] - 1}_identity",
        **published(f"{APPLICATIONS}/convnext", (f"{stem}.h5", f"sha256:{sha256[0]}"),
                     (f"{stem}_notop.h5", f"sha256:{sha256[1]}")),
        **fields,
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
