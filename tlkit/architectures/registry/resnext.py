"""ResNeXt, from keras-applications.

Files, hashes and names: ``resnet_common.py``; sizes in MB and accuracies: the table on the applications page of
Keras 2.3, which names no depth. The files are older than the 1x1 convolutions (``…_gconv``) that later sources of
keras-applications have.
"""

from __future__ import annotations

from typing import Any

from tlkit.architectures.architecture import Architecture
from tlkit.architectures.registry.published import published, residual_blocks

RELEASE = "https://github.com/keras-team/keras-applications/releases/download/resnet"


def _resnext(title: str, stages: tuple[int, int, int, int], *md5: str, **fields: Any) -> Architecture:
    name = title.lower()
    stem = f"{name}_weights_tf_dim_ordering_tf_kernels"
    return Architecture(
        name=name, title=title, builder=f"tlkit.architectures.resnext:{title}", size=224, min_size=32,
        preprocessing="torch", depth=None, features=2048, blocks=residual_blocks(stages),
        freeze=f"conv4_block{stages[2]}_out",
        old_names={"predictions": "probs"},  # what tf.keras calls it when its ResNet is given stack3
        **published(RELEASE, (f"{stem}.h5", f"md5:{md5[0]}"), (f"{stem}_notop.h5", f"md5:{md5[1]}")), **fields,
    )  # fmt: skip


RESNEXT = (
    _resnext("ResNeXt50", (3, 4, 6, 3), "67a5b30d522ed92f75a1f16eef299d1a", "62527c363bdd9ec598bed41947b379fc",
             parameters=25_097_128, size_mb=96, top1=0.777, top5=0.938),
    _resnext("ResNeXt101", (3, 4, 23, 3), "34fb605428fcc7aa4d62f44404c11509", "0f678c91647380debd923963594981b3",
             parameters=44_315_560, size_mb=170, top1=0.787, top5=0.943),
)  # fmt: skip
