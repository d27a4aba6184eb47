"""Arguments of layers of Keras 1 and 2 that Keras 3 renamed or does not take, as tables.

Sources: ``legacy/interfaces.py`` of Keras 2.2.4 for what Keras 2 renamed, the ``get_config`` methods of Keras 1.2.2 for
what its files hold, and every layer of TensorFlow's Keras 2.21 compared with Keras 3.15.
"""

from __future__ import annotations

from typing import Any

from tlkit.keras_files.upgrade import allowlist

ANY = object()

_RNN = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
_CELLS = frozenset({"LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"})
_NEVER_TRAINS = frozenset({"Discretization", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"})
SPATIAL = tuple(
    f"{kind}{rank}" for kind in ("ZeroPadding", "UpSampling", "Cropping", "SpatialDropout") for rank in ("2D", "3D")
)

# Keras 1's names of arguments. No layer of Keras 2 or 3 has an argument of these names.
RENAMED = {
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample": "strides",
    "subsample_length": "strides",
    "atrous_rate": "dilation_rate",
    "border_mode": "padding",
    "dim_ordering": "data_format",
    "bias": "use_bias",
    "inner_activation": "recurrent_activation",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "dropout_W": "dropout",
    "dropout_U": "recurrent_dropout",
    "pool_length": "pool_size",
    "stride": "strides",
    "sigma": "stddev",
    "p": "rate",
}
RENAMED_IN = {
    "Dense": {"output_dim": "units"},
    "LSTM": {"output_dim": "units"},
    "GRU": {"output_dim": "units"},
    "SimpleRNN": {"output_dim": "units"},
    "UpSampling1D": {"length": "size"},
    "Embedding": {
        "W_regularizer": "embeddings_regularizer",
        "W_constraint": "embeddings_constraint",
    },
    "LeakyReLU": {"alpha": "negative_slope"},
    "ThresholdedReLU": {"theta": "threshold"},
}

# Arguments that Keras 3 does not take: in which layers (None: in all), which one, the values with which nothing is
# lost by dropping it (ANY: it never changed what the layer computes).
DROPPED: tuple[tuple[frozenset[str] | None, str, Any], ...] = (
    (None, "batch_input_shape", ANY),
    (None, "input_dtype", ANY),
    (frozenset({"DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "Conv1DTranspose",
                "Conv2DTranspose", "Conv3DTranspose"}), "groups", (1, None)),
    (_RNN, "time_major", (False, None)),
    (_RNN | _CELLS, "implementation", ANY),
    (_RNN, "consume_less", ANY),
    (frozenset({"Dense", "Conv1D"}) | _RNN, "input_dim", ANY),
    (frozenset({"Dense", "Conv1D", "Embedding"}) | _RNN, "input_length", ANY),
    (frozenset({"Embedding"}), "dropout", ANY),  # only while training
    (frozenset({"InputLayer"}), "ragged", (False, None)),
    (frozenset({"MultiHeadAttention"}), "query_shape", ANY),
    (frozenset({"MultiHeadAttention"}), "key_shape", ANY),
    (frozenset({"MultiHeadAttention"}), "value_shape", ANY),
    (frozenset({"MultiHeadAttention"}), "softmax_robust_masking", (False, None)),
    (frozenset({"Attention", "AdditiveAttention"}), "causal", (False, None)),
    (frozenset({"BatchNormalization"}), "mode", (0, None)),
    (frozenset({"BatchNormalization"}), "virtual_batch_size", (None,)),
    (frozenset({"BatchNormalization"}), "fused", ANY),
    *((frozenset({"SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D"}), key, ANY)
      for key in ("kernel_regularizer", "kernel_constraint")),  # they have no such kernel
    (frozenset({"DepthwiseConv1D", "DepthwiseConv2D"}), "filters", (None,)),
    (_NEVER_TRAINS, "trainable", ANY),
    (_NEVER_TRAINS, "noise_shape", (None,)),
    (frozenset({"TimeDistributed", "Bidirectional"}), "weights", (None,)),
    (frozenset(name for name in allowlist.LAYERS if name.startswith("Random")), "rng_type", ANY),
)  # fmt: skip

# Not worth a note: the input layer has the shape, the others repeat it or set what no layer of that kind has.
SILENT = frozenset({
    "batch_input_shape", "input_dtype", "input_dim", "input_length", "ragged", "rng_type", "query_shape", "key_shape",
    "value_shape", "noise_shape", "trainable", "kernel_regularizer", "kernel_constraint",
})  # fmt: skip

ORDERINGS = {"th": "channels_first", "tf": "channels_last", "default": None}
MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate"}
OLD_PENALTIES = {
    "WeightRegularizer": "L1L2",
    "L1L2Regularizer": "L1L2",
    "ActivityRegularizer": "L1L2",
    "l1_l2": "L1L2",
    "maxnorm": "MaxNorm",
    "nonneg": "NonNeg",
    "unitnorm": "UnitNorm",
}
CONSTRAINT_ARGUMENTS = {"m": "max_value", "low": "min_value", "high": "max_value"}
