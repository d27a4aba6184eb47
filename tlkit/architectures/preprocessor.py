"""The preprocessor of an architecture: from a file to the input of the network, by modality."""

from __future__ import annotations

from tlkit.architectures.architecture import Architecture
from tlkit.data.modality import AUDIO, IMAGE
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import UsageError


def _image(
    size: tuple[int, int], preprocessing: str, resize: str, allow_private: bool, data_format: str
) -> Preprocessor:
    from tlkit.data.images.normalization import MODES
    from tlkit.data.images.preprocessor import ImagePreprocessor
    from tlkit.data.images.resize import RESIZE_MODES

    if preprocessing not in MODES or resize not in RESIZE_MODES:
        raise ValueError(f"no such preprocessing or resize mode: {preprocessing}, {resize}")
    return ImagePreprocessor(size, preprocessing, resize, allow_private, data_format=data_format)


def _mel_spectrogram(
    size: tuple[int, int], preprocessing: str, resize: str, allow_private: bool, data_format: str
) -> Preprocessor:
    from tlkit.data.audio.preprocessor import PREPROCESSING, RESIZE_MODE, SIZE, MelSpectrogramPreprocessor

    if (size, preprocessing, resize) != (SIZE, PREPROCESSING, RESIZE_MODE) or data_format != "channels_last":
        raise ValueError(f"no such preprocessing, resize mode or size: {preprocessing}, {resize}, {size}")
    return MelSpectrogramPreprocessor(allow_private)


_MAKERS = {IMAGE.name: (_image, "squash"), AUDIO.name: (_mel_spectrogram, "middle")}
"""By modality: what makes the preprocessor, and its default resize mode."""


def make_preprocessor(
    modality: str,
    size: tuple[int, int],
    preprocessing: str,
    resize: str | None = None,
    *,
    allow_private: bool = False,
    data_format: str = "channels_last",
) -> Preprocessor:
    """Return the preprocessor with these settings, which a run folder stores.

    Args:
        modality: A name of :data:`tlkit.data.modality.MODALITIES`.
        size: Input height and width of the network.
        preprocessing: How values are normalized: an ``Architecture.preprocessing``.
        resize: The resize mode; None for the default of the modality.
        allow_private: URLs may lead to hosts of a private network.
        data_format: Layout of the network's input, ``channels_last`` or ``channels_first``.

    Raises:
        ValueError: There is no preprocessor with these settings.
        UsageError: A package that decodes such files is not installed.
    """
    if modality not in _MAKERS:
        raise ValueError(f"no such modality: {modality}")
    make, default = _MAKERS[modality]
    return make(size, preprocessing, resize or default, allow_private, data_format)


def preprocessor_for(
    architecture: Architecture, size: tuple[int, int], resize: str | None = None, *, allow_private: bool = False
) -> Preprocessor:
    """Return the preprocessor of an architecture.

    Args:
        architecture: The entry of the registry.
        size: Input height and width, as :meth:`Architecture.input_size` gives them.
        resize: The resize mode; None for the default.
        allow_private: URLs may lead to hosts of a private network.

    Raises:
        UsageError: ``--resize`` for a network that takes no images; a package that decodes such files is not installed.
    """
    refuse_image_options(architecture, **{"--resize": resize})
    return make_preprocessor(
        architecture.modality, size, architecture.preprocessing, resize, allow_private=allow_private,
        data_format="channels_first" if architecture.is_channels_first else "channels_last",
    )  # fmt: skip


def refuse_image_options(architecture: Architecture, **options: object) -> None:
    """Refuse options for images, given with a network that takes none.

    Args:
        architecture: The entry of the registry.
        options: Values by option; None for one that was not given.

    Raises:
        UsageError: One was given.
    """
    given = [name for name, value in options.items() if value is not None]
    if architecture.modality != IMAGE.name and given:
        raise UsageError(
            f"{given[0]} is for images, and {architecture.name} takes {architecture.modality}.",
            hint=f"Leave {given[0]} out.",
        )
