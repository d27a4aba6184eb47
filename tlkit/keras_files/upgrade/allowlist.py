"""What a model config may name, as data. Everything that is not here is refused.

The names are those that Keras 3 exports (a test holds that each exists), and those of Keras 1 and 2 that
:mod:`tlkit.keras_files.upgrade.config` translates or refuses with a reason. None of these layers reads a file, opens a
URL or holds code.
"""

from __future__ import annotations

MODELS = frozenset({"Sequential", "Functional", "Model"})


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


LAYERS = _words("""
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention AugMix
    AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional
    CategoryEncoding CenterCrop Concatenate ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D
    Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Cropping1D Cropping2D Cropping3D CutMix
    Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten GRU
    GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention HashedCrossing
    Hashing Identity InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D
    MaxPooling3D Maximum Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization RNN
    RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert
    RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation
    RandomZoom ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding SeparableConv1D SeparableConv2D
    SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D
    SpectralNormalization StackedRNNCells Subtract TimeDistributed UnitNormalization UpSampling1D UpSampling2D
    UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
""")

# Layers that Keras 3 defines beside the application that needs them.
APPLICATION_LAYERS = {
    "LayerScale": "keras.src.applications.convnext",
    "StochasticDepth": "keras.src.applications.convnext",
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
}

# Old and other names of layers that Keras 3 has: a plain change of the class name.
ALIASES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "AtrousConv1D": "Conv1D",
    "AtrousConv2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
    "Deconv2D": "Conv2DTranspose",
    "Deconv3D": "Conv3DTranspose",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",  # Dense works on the last axis now, whatever comes before it
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LayerNormalizationV1": "LayerNormalization",
    "GRUV2": "GRU",
    "LSTMV2": "LSTM",
    "GRUCellV2": "GRUCell",
    "LSTMCellV2": "LSTMCell",
    "ThresholdedReLU": "ReLU",
    "Custom>CustomScaleLayer": "CustomScaleLayer",
    "RandomHeight": "Identity",  # at inference both return their input
    "RandomWidth": "Identity",
}

# Layers without a counterpart in Keras 3: listed so that each is refused with its reason.
GONE = {
    "LocallyConnected1D": "Keras 3 has no locally connected layers",
    "LocallyConnected2D": "Keras 3 has no locally connected layers",
    "CuDNNGRU": "its weights are in cuDNN's own order",
    "CuDNNLSTM": "its weights are in cuDNN's own order",
    "MaxoutDense": "it left Keras with version 2",
    "Highway": "it left Keras with version 2",
    "SReLU": "it left Keras with version 2",
    "ParametricSoftplus": "it left Keras with version 2",
}
OLD_LAYERS = frozenset({*ALIASES, *GONE, *APPLICATION_LAYERS, "Merge"})

# Known to be unsafe. Any other name is refused too, as unknown.
UNSAFE = {
    "Lambda": "it holds Python code",
    "TFSMLayer": "it loads a SavedModel, which holds code, from a path or URL",
    "TorchModuleWrapper": "it holds a pickled PyTorch module",
    "JaxLayer": "it calls foreign code",
    "FlaxLayer": "it calls foreign code",
    "StringLookup": "it can read its vocabulary from a file or URL",
    "IntegerLookup": "it can read its vocabulary from a file or URL",
    "IndexLookup": "it can read its vocabulary from a file or URL",
    "TextVectorization": "it can read its vocabulary from a file or URL",
    "FeatureSpace": "it can read a vocabulary from a file or URL",
    "__lambda__": "it holds Python code",
    "__typespec__": "it names a class of TensorFlow",
}

# What Keras writes for `model.quantize`.
QUANTIZED = _words("""
    QuantizedDTypePolicy QuantizedFloat8DTypePolicy GPTQDTypePolicy AWQDTypePolicy Int8QuantizationConfig
    Int4QuantizationConfig Float8QuantizationConfig GPTQConfig AWQConfig AbsMaxQuantizer
""")

# Operations on tensors that a Keras 3 Functional model holds where no layer was used: `x * 2 + y`.
OPERATIONS = {
    "keras.src.ops.numpy": _words("""
        Absolute Add Average Clip Concatenate Divide Exp ExpandDims Flip GetItem Log Matmul Max Maximum Mean Min Minimum
        Multiply Negative Pad Power Reshape Sqrt Square Squeeze Stack Subtract Sum Swapaxes Tanh Transpose TrueDivide
    """),
    "keras.src.ops.nn": _words("""
        Elu Gelu HardSigmoid HardSilu LeakyRelu LogSigmoid LogSoftmax Relu Relu6 Selu Sigmoid Silu Softmax Softplus
        Softsign
    """),
    "keras.src.ops.core": _words("Cast StopGradient"),
}

# What TensorFlow's Keras 2 wrote where no layer was used; the name of the op is in the config.
TENSORFLOW_OPS = _words("TFOpLambda SlicingOpLambda TensorFlowOpLayer ClassMethod InstanceMethod InstanceProperty")
TRANSLATED_OP_LAYERS = _words("TFOpLambda SlicingOpLambda")

# Of the ops of a TFOpLambda or SlicingOpLambda, those that Keras 3 has with the very same numbers: its class, and the
# arguments of the op that become its config. The rest of the arguments stay arguments of the call.
TRANSLATED_OPS: dict[str, tuple[str, dict[str, str]]] = {
    "__operators__.add": ("Add", {}),
    "__operators__.getitem": ("GetItem", {}),
    "math.add": ("Add", {}),
    "math.subtract": ("Subtract", {}),
    "math.multiply": ("Multiply", {}),
    "math.truediv": ("TrueDivide", {}),
    "math.divide": ("TrueDivide", {}),
    "math.maximum": ("Maximum", {}),
    "math.minimum": ("Minimum", {}),
    "math.square": ("Square", {}),
    "math.tanh": ("Tanh", {}),
    "math.sigmoid": ("Sigmoid", {}),
    "nn.bias_add": ("Add", {}),
    "nn.relu": ("Relu", {}),
    "nn.relu6": ("Relu6", {}),
    "nn.silu": ("Silu", {}),
    "nn.softmax": ("Softmax", {"axis": "axis"}),
    "concat": ("Concatenate", {"axis": "axis"}),
    "math.reduce_mean": ("Mean", {"axis": "axis", "keepdims": "keepdims"}),
    "math.reduce_max": ("Max", {"axis": "axis", "keepdims": "keepdims"}),
}

REGULARIZERS = _words("L1 L1L2 L2 OrthogonalRegularizer")
REGULARIZER_NAMES = REGULARIZERS | _words("l1 l2 l1l2 orthogonal_regularizer")
CONSTRAINTS = _words("MaxNorm MinMaxNorm NonNeg UnitNorm")
CONSTRAINT_NAMES = CONSTRAINTS | _words("max_norm min_max_norm non_neg unit_norm")
ACTIVATIONS = _words("""
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh tanh_shrink threshold
""")
# What TensorFlow calls those of its functions that users give as an activation: `activation=tf.nn.softmax`.
ACTIVATION_ALIASES = {
    "softmax_v2": "softmax",
    "log_softmax_v2": "log_softmax",
    "identity": "linear",
    "exp": "exponential",
}
POLICIES = _words("DTypePolicy FloatDTypePolicy")

# Names that only Keras 1 and 2 wrote; upgrade turns them into the names above.
OLD_REGULARIZERS = _words("WeightRegularizer L1L2Regularizer ActivityRegularizer l1_l2")
OLD_CONSTRAINTS = _words("maxnorm nonneg unitnorm")
OLD_POLICIES = _words("Policy PolicyV1")

# Plain values that JSON has no word for.
MARKERS = _words("__keras_tensor__ __tensor__ __numpy__ __slice__ __ellipsis__ __bytes__ __tuple__ function")


def is_initializer(key: str) -> bool:
    """Return True for an argument that gives initial values (``kernel_initializer``; of Keras 1 ``init``).

    What is under it is neither checked nor built: the weights of the file take the place of initial values.
    """
    return key.rsplit("_", 1)[-1] in ("initializer", "init")


def operations_module(class_name: str) -> str | None:
    """Return the Keras 3 module of an operation on tensors; None if it is not one."""
    return next((module for module, names in OPERATIONS.items() if class_name in names), None)


def layer_module(class_name: str) -> str | None:
    """Return the Keras 3 module of a layer, or of an operation without a module; None for neither."""
    if class_name in APPLICATION_LAYERS:
        return APPLICATION_LAYERS[class_name]
    return "keras.layers" if class_name in LAYERS else operations_module(class_name)
