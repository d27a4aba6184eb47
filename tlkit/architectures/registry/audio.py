"""Networks that take audio.

Sources: Keras 1.2.2, ``applications/music_tagger_crnn.py`` and ``audio_conv_utils.py``; Choi et al. 2017,
"Convolutional Recurrent Neural Networks for Music Classification" (arXiv:1609.04243).
Trained on the Million Song Dataset.
"""

from __future__ import annotations

from tlkit.architectures.architecture import Architecture
from tlkit.downloads.weights_file import WeightsFile

_FILE = "music_tagger_crnn_weights_tf_kernels_tf_dim_ordering.h5"

AUDIO = (
    Architecture(
        name="musictaggercrnn", title="MusicTaggerCRNN", builder="tlkit.architectures.music_tagger:MusicTaggerCRNN",
        modality="audio", labels="msd", fixed_shape=(96, 1366, 1), size=96, min_size=96,
        preprocessing="melspectrogram", channels_first=False,
        parameters=400_562, size_mb=2, top1=None, top5=None, depth=None, features=32,
        blocks=("pool1", "pool2", "pool3", "pool4", "gru1", "gru2"), freeze="pool4",
        with_top=WeightsFile(
            _FILE, f"https://github.com/fchollet/deep-learning-models/releases/download/v0.3/{_FILE}"
        ),
        without_top=None,  # the same file serves both
    ),
)  # fmt: skip
