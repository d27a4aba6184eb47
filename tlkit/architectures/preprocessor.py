"""The look of each kind of network: which package answers for which kind of input."""

from __future__ import annotations

from tlkit.architectures.architecture import Architecture
from tlkit.data.modality import AUDIO, IMAGE
from tlkit.data.preprocessor import Preprocessor
from tlkit.errors import UsageError


def _pictures(
    size: tuple[int, int], preprocessing: str, resize: str, allow_private: bool, channels_first: bool
) -> Preprocessor:
    from tlkit.data.images.normalization import MODES
    from tlkit.data.images.preprocessor import ImagePreprocessor
    from tlkit.data.images.resize import RULES

    if preprocessing not in MODES or resize not in RULES:
        raise ValueError(f"no such look: {preprocessing}, {resize}")
    return ImagePreprocessor(size, preprocessing, resize, allow_private, channels_first=channels_first)


def _clips(
    size: tuple[int, int], preprocessing: str, resize: str, allow_private: bool, channels_first: bool
) -> Preprocessor:
    from tlkit.data.audio.preprocessor import PREPROCESSING, RULE, SIZE, MelSpectrogramPreprocessor

    if (size, preprocessing, resize) != (SIZE, PREPROCESSING, RULE) or channels_first:
        raise ValueError(f"no such look: {preprocessing}, {resize}, {size}")
    return MelSpectrogramPreprocessor(allow_private)


_MAKERS = {IMAGE.name: (_pictures, "squash"), AUDIO.name: (_clips, "middle")}
"""By kind: what makes the look, and its rule unless told otherwise."""


def make_preprocessor(
    kind: str,
    size: tuple[int, int],
    preprocessing: str,
    resize: str | None = None,
    *,
    allow_private: bool = False,
    channels_first: bool = False,
) -> Preprocessor:
    """How a network looks at a file.

    Args:
        kind: A name of :data:`tlkit.data.modality.MODALITIES`.
        size: Height and width of its input.
        preprocessing: What is done to the values.
        resize: What of a file is taken; None for the usual of its kind.
        allow_private: Addresses may lead inside this network.
        channels_first: Its inputs are ``(channels, height, width)``.

    Raises:
        ValueError: There is no such look.
        UsageError: What it takes to read such files is not installed.
    """
    if kind not in _MAKERS:
        raise ValueError(f"no such kind: {kind}")
    make, usual = _MAKERS[kind]
    return make(size, preprocessing, resize or usual, allow_private, channels_first)


def preprocessor_for(
    architecture: Architecture, size: tuple[int, int], resize: str | None = None, *, allow_private: bool = False
) -> Preprocessor:
    """How an architecture looks at a file.

    Raises:
        UsageError: ``--resize`` for what are no pictures; what it takes to read such files is not installed.
    """
    refuse_image_options(architecture, **{"--resize": resize})
    return make_preprocessor(
        architecture.kind, size, architecture.preprocessing, resize, allow_private=allow_private,
        channels_first=architecture.is_channels_first,
    )  # fmt: skip


def refuse_image_options(architecture: Architecture, **options: object) -> None:
    """Refuse options that only make sense for pictures, given with a network that takes none.

    Args:
        architecture: The row of the table.
        options: What was given, by option; None for what was not.

    Raises:
        UsageError: One was given.
    """
    given = [name for name, value in options.items() if value is not None]
    if architecture.kind != IMAGE.name and given:
        raise UsageError(
            f"{given[0]} is for pictures, and {architecture.name} takes {architecture.kind}.",
            hint=f"Leave {given[0]} out.",
        )
