"""Images of all requests through one network: decoded by threads, computed in batches of what has arrived.

Nothing waits for a batch to fill. While two batches are computed, what is decoded meanwhile becomes the next one:
alone, an image is a batch of its own; under load batches grow to the size that the engine works best with.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from tlkit.data.batches import AHEAD_BYTES
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.data.memory import claim_file, claims
from tlkit.errors import InputError, TlkitError, WeightsError
from tlkit.inference.base import Engine, Outputs

CLOSING_SECONDS = 2.0
"""How long the end waits for what is being decoded or computed."""
IN_FLIGHT = 2
"""Batches that are computed at a time: one that runs, and one that is ready when it ends."""


class EndingError(TlkitError):
    """What waited when the server ended, or came after that."""

    MESSAGE = "The server is ending."

    def __init__(self) -> None:
        super().__init__(self.MESSAGE)


@dataclass(frozen=True)
class Computed:
    """An image that went through the network.

    Attributes:
        pixels: ``(height, width, channels)`` uint8, as the network takes them.
        outputs: One array per output of the network, ``(1, …)`` float32.
    """

    pixels: np.ndarray
    outputs: Outputs


class _Image:
    """An image on its way: its bytes, then its pixels, then what the network says."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pixels = np.empty(0)
        self.future: Future[Computed] = Future()


class _Pixels:
    """A batch of pixels that are there already, for a heat map."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        self.future: Future[Outputs] = Future()


class Batcher:
    """Decodes and computes what threads and coroutines hand in, until it is closed.

    It bounds what is decoded ahead of the network, not what waits to be decoded: callers bound that.

    Args:
        engine: The network.
        preprocessor: From the bytes of a file to its input.
        threads: Number of threads that decode.
        on_batch: Called with the number of images of each batch, in one of the threads.
    """

    def __init__(
        self,
        engine: Engine,
        preprocessor: ImagePreprocessor,
        threads: int,
        on_batch: Callable[[int], object] = lambda size: None,
    ) -> None:
        self._engine, self._preprocessor, self._on_batch = engine, preprocessor, on_batch
        self._changed = threading.Condition()
        self._waiting: deque[_Image] = deque()
        self._decoded: deque[_Image] = deque()
        self._pixels: deque[_Pixels] = deque()
        self._ahead = self._in_flight = 0
        self._most_ahead = max(2 * threads, AHEAD_BYTES // preprocessor.sample_bytes)
        self._closed = False
        self._threads = [
            *(threading.Thread(target=self._decode, name=f"decode-{number}") for number in range(threads)),
            threading.Thread(target=self._compute, name="compute"),
        ]
        for thread in self._threads:
            thread.daemon = True  # an interrupt must not wait for them
            thread.start()

    def submit(self, data: bytes) -> Future[Computed]:
        """Start on the bytes of an image file.

        Returns:
            A future that raises :class:`tlkit.errors.InputError` where it cannot be decoded.
        """
        image = _Image(data)
        with self._changed:
            self._refuse_if_closed()
            self._waiting.append(image)
            self._changed.notify_all()
        return image.future

    def compute(self, pixels: np.ndarray) -> Outputs:
        """Return the outputs for ``(batch, height, width, channels)``; batches of images take turns with them."""
        size = self._engine.batch
        parts = [_Pixels(pixels[start : start + size]) for start in range(0, len(pixels), size)]
        with self._changed:
            self._refuse_if_closed()
            self._pixels.extend(parts)
            self._changed.notify_all()
        outputs = [part.future.result() for part in parts]
        return tuple(np.concatenate(arrays) for arrays in zip(*outputs, strict=True))

    @property
    def works(self) -> bool:
        """Whether all of its threads live."""
        return all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """End the threads: what waits fails with :class:`EndingError`, what has begun may take a little longer."""
        with self._changed:
            self._closed = True
            waiting: list[_Image | _Pixels] = [*self._waiting, *self._decoded, *self._pixels]
            for queue in (self._waiting, self._decoded, self._pixels):
                queue.clear()
            self._changed.notify_all()
        for each in waiting:
            with suppress(InvalidStateError):  # nobody waits for it any more
                each.future.set_exception(EndingError())
        for thread in self._threads:
            thread.join(CLOSING_SECONDS / len(self._threads))

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise EndingError

    def _decode(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: (self._waiting and self._ahead < self._most_ahead) or self._closed)
                if self._closed:
                    return
                image = self._waiting.popleft()
                self._ahead += 1
            usable = image.future.set_running_or_notify_cancel() and self._load(image)
            with self._changed:
                if usable and self._closed:
                    image.future.set_exception(EndingError())
                elif usable:
                    self._decoded.append(image)
                else:
                    self._ahead -= 1
                self._changed.notify_all()

    def _load(self, image: _Image) -> bool:
        """Decode an image; return False, and say why, if that fails."""
        try:
            with claims():
                claim_file(len(image.data))
                content = self._preprocessor.load_bytes(image.data)
                image.data = b""
                image.pixels = self._preprocessor.to_array(content)
                del content  # before its memory counts as free
        except MemoryError:
            image.future.set_exception(InputError("there is not enough memory to decode it"))
        except Exception as error:
            image.future.set_exception(error)
        else:
            return True
        return False

    def _compute(self) -> None:
        turn = True
        while True:
            with self._changed:
                self._changed.wait_for(self._may_compute)
                if not (self._decoded or self._pixels):
                    return
                images: list[_Image] = []
                part = self._pixels.popleft() if self._pixels and (turn or not self._decoded) else None
                while part is None and self._decoded and len(images) < self._engine.batch:
                    images.append(self._decoded.popleft())
                self._ahead -= len(images)
                self._in_flight += 1
                self._changed.notify_all()
            turn = part is None  # after a batch of images, one for a heat map
            self._start(images, part)

    def _may_compute(self) -> bool:
        if self._decoded or self._pixels:
            return self._in_flight < IN_FLIGHT
        return self._closed

    def _start(self, images: Sequence[_Image], part: _Pixels | None) -> None:
        """Start on images, or a part of a heat map; an error of any kind is theirs, and holds nothing else up."""

        def finish(done: Future[Outputs]) -> None:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()
            if part is None:
                _give(images, done)
            else:
                _hand_over(part.future, done)

        try:
            if part is None:
                self._on_batch(len(images))
            started = self._engine.submit(np.stack([image.pixels for image in images]) if part is None else part.pixels)
        except Exception as error:
            started = Future()
            started.set_exception(error)
        started.add_done_callback(finish)


def _give(images: Sequence[_Image], done: Future[Outputs]) -> None:
    error = done.exception()
    for row, image in enumerate(images):
        if error is not None:
            image.future.set_exception(error)
            continue
        outputs = tuple(output[row : row + 1] for output in done.result())
        if all(np.isfinite(output).all() for output in outputs):
            image.future.set_result(Computed(image.pixels, outputs))
        else:
            image.future.set_exception(
                WeightsError("The network's output is not finite (NaN or infinity): its weights are damaged.")
            )


def _hand_over(future: Future[Outputs], done: Future[Outputs]) -> None:
    error = done.exception()
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(done.result())
