"""How a network looks at a file: all that the loops over files need to know of pictures and clips."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from PIL import Image

from tlkit.data.modality import Modality


class Preprocessor(Protocol):
    """Everything that turns the bytes of a file into what a network takes.

    It is in two steps, because a picture may be changed between them: a file becomes *values* (``pixels``), small and
    as a person knows them, and those become the network's *inputs*, float32, in the graph where there is one.
    """

    @property
    def kind(self) -> Modality:
        """What it looks at."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the values."""
        ...

    @property
    def channels(self) -> int:
        """Of the values."""
        ...

    @property
    def dtype(self) -> str:
        """Of the values: ``uint8`` or ``float32``."""
        ...

    @property
    def channels_first(self) -> bool:
        """Inputs are ``(channels, height, width)``; values are channels last always."""
        ...

    @property
    def data_format(self) -> str:
        """The layout of inputs, as Keras calls it."""
        ...

    @property
    def preprocessing(self) -> str:
        """What is done to the values, by name."""
        ...

    @property
    def rule(self) -> str:
        """What of a file is taken, by name."""
        ...

    @property
    def decoder(self) -> str:
        """What decodes, with versions: the same bytes give the same values only by the same."""
        ...

    def open(self, source: str, *, digest: bool = False) -> tuple[Any, bytes]:
        """What is in one file or address, and the SHA-256 of its bytes where that is asked for.

        Raises:
            InputError: It cannot be read; the message is the reason alone.
        """
        ...

    def pixels(self, content: Any) -> np.ndarray:
        """The values of what :meth:`open` gave, ``(height, width, channels)``."""
        ...

    def read(self, source: str) -> np.ndarray:
        """Both: the values of one file or address."""
        ...

    def scale(self, values: Any) -> Any:
        """The network's inputs, channels last, for float32 values: an array or a tensor."""
        ...

    def inputs(self, values: np.ndarray) -> np.ndarray:
        """What the network takes for values ``(rows, height, width, channels)``: float32."""
        ...

    def show(self, content: Any, side: int) -> Image.Image:
        """What :meth:`open` gave as a small picture for people, no side longer than ``side``."""
        ...
