"""What every kind of layer computes for inference.

Sources: the layers of ``keras/src/layers`` and their backend in ``keras/src/backend/tensorflow/nn.py``.
"""

from tlkit.inference.compiler.layers import (  # noqa: F401  # each fills the table
    activation_layers,
    attention,
    convolutions,
    merging,
    normalization,
    recurrent,
    sizes,
    training_only,
    vectors,
)
from tlkit.inference.compiler.layers.table import LAYERS

__all__ = ["LAYERS"]
