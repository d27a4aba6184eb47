"""A classifier that is ready to answer: what the routes of the server call."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import tlkit
from tlkit.data.batches import DOWNLOADS
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.errors import InputError
from tlkit.inference.base import Engine
from tlkit.serving.batching import Batcher, Computed
from tlkit.serving.bodies import Upload
from tlkit.serving.limits import Budget, Limits, Refused
from tlkit.serving.metrics import Metrics
from tlkit.training.classifier import Classifier
from tlkit.training.explain import heat_map
from tlkit.training.prediction import Prediction, best_classes, given_labels
from tlkit.utils.processors import decode_threads
from tlkit.utils.text import without_password

HEAT_SIDE = 480
"""Longer side of a heat map, in pixels."""


class Service:
    """Classifies and explains images, within limits.

    Args:
        classifier: The network, its preprocessing and class names.
        engine: What runs it.
        name: Of the run or the file, without its folder.
        top: Classes that an answer lists, unless the request says otherwise.
        allow_urls: Fetch URLs.
        limits: What requests may take.
    """

    def __init__(
        self,
        classifier: Classifier,
        engine: Engine,
        *,
        name: str,
        top: int = 5,
        allow_urls: bool = False,
        limits: Limits | None = None,
    ) -> None:
        preprocessor = classifier.network.preprocessor
        assert isinstance(preprocessor, ImagePreprocessor)  # the command refuses audio
        self.limits = limits or Limits()
        self.top, self.allow_urls = top, allow_urls
        self.held = Budget(self.limits.held_bytes, "The server holds as many images as it has room for; try again.")
        self._queue = Budget(self.limits.queue, "The queue is full; try again.")
        self._explanations = Budget(self.limits.explanations, "Enough heat maps are being drawn; try again.")
        self.metrics = Metrics(lambda: self._queue.used)
        self._classifier, self._engine, self._name = classifier, engine, name
        self._preprocessor = preprocessor
        self._batcher = Batcher(engine, preprocessor, decode_threads(), self.metrics.batches.observe)
        self._drawing = ThreadPoolExecutor(1, thread_name_prefix="explain")  # one heat map at a time
        self._fetches = Budget(self.limits.queue, "Enough URLs are being fetched; try again.")
        self._slots = asyncio.Semaphore(DOWNLOADS)
        self._fetching = ThreadPoolExecutor(DOWNLOADS, thread_name_prefix="fetch")

    async def predict(self, images: Sequence[Upload], top: int) -> list[Prediction]:
        """Classify images; one that cannot be decoded has an error.

        Raises:
            Refused: The queue is full.
        """
        with self._queue.share(len(images)):
            return await asyncio.gather(*(self._predict(image.name, image.data, top) for image in images))

    async def predict_urls(self, urls: Sequence[str], top: int) -> list[Prediction]:
        """Fetch and classify images; one that cannot be had, or not in time, has an error.

        Raises:
            Refused: Enough are being fetched, for this request or others.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.limits.fetch_seconds

        async def predict(url: str) -> Prediction:
            name = without_password(url)
            try:
                # the slot until it is decoded: no more files than there are slots are in memory
                async with asyncio.timeout_at(deadline) as limit, self._slots:
                    data = await loop.run_in_executor(self._fetching, _fetch, url)
                    limit.reschedule(None)
                    # slow hosts keep nobody from the queue; a file that is here is not sent away
                    with self._queue.share(1, refuse=False):
                        return await self._predict(name, data, top)
            except InputError as error:
                return self._failed(name, error)
            except TimeoutError:
                seconds = f"{self.limits.fetch_seconds:.0f} seconds"
                return self._failed(name, InputError(f"it did not arrive within {seconds} of the request"))

        with self._fetches.share(len(urls)):
            return await asyncio.gather(*map(predict, urls))

    async def explain(self, image: Upload, label: str | None) -> bytes:
        """Draw where an image shows a class.

        Args:
            image: The image.
            label: Label or name of the class; None for the most probable one.

        Returns:
            A PNG file.

        Raises:
            Refused: It cannot be decoded, there is no such class, or there is enough to do.
        """
        number = None if label is None else self._class_number(label)
        with self._explanations.share(1), self._queue.share(1):
            try:
                computed = await asyncio.wrap_future(self._batcher.submit(image.data))
            except InputError as error:
                raise Refused(422, f"The image cannot be read: {error.message}.") from error
            if number is None:
                number = int(self._classifier.probabilities(computed.outputs[0][0]).argmax())
            return await asyncio.get_running_loop().run_in_executor(self._drawing, self._draw, computed.pixels, number)

    def model(self) -> dict[str, Any]:
        """Return the document of ``GET /model``."""
        classifier, preprocessor = self._classifier, self._preprocessor
        provenance = classifier.network.provenance
        return {
            "name": self._name,
            "architecture": None if provenance is None else provenance.architecture,
            "classes": [name for _, name in classifier.classes],
            "labels": [label for label, _ in classifier.classes],
            "multi_label": classifier.thresholds is not None,
            "thresholds": None if classifier.thresholds is None else classifier.thresholds.tolist(),
            "knows_unknown": classifier.knows_unknown,
            "size": list(preprocessor.size),
            "channels": preprocessor.channels,
            "resize": preprocessor.resize_mode,
            "preprocessing": preprocessor.preprocessing,
            "engine": self._engine.name,
            "precision": self._engine.precision,
            "top": self.top,
            "urls": self.allow_urls,
            "limits": {
                "body_bytes": self.limits.body_bytes, "images": self.limits.images, "queue": self.limits.queue
            },
            "tlkit": tlkit.__version__,
        }  # fmt: skip

    @property
    def works(self) -> bool:
        """Whether images are decoded and computed."""
        return self._batcher.works

    def close(self) -> None:
        """End the threads; requests that are left fail."""
        self._drawing.shutdown(wait=False, cancel_futures=True)  # a heat map ends with its next batch
        self._fetching.shutdown(wait=False, cancel_futures=True)
        if "tlkit.data.url" in sys.modules:
            sys.modules["tlkit.data.url"].hang_up_all()  # don't wait for a slow server
        self._batcher.close()

    async def _predict(self, name: str, data: bytes, top: int) -> Prediction:
        try:
            computed = await asyncio.wrap_future(self._batcher.submit(data))
        except InputError as error:
            return self._failed(name, error)
        self.metrics.images.labels("classified").inc()
        return self._prediction(name, computed, top)

    def _failed(self, name: str, error: InputError) -> Prediction:
        self.metrics.images.labels("failed").inc()
        return Prediction(name, error=error.message)

    def _prediction(self, name: str, computed: Computed, top: int) -> Prediction:
        classifier = self._classifier
        probabilities = classifier.probabilities(computed.outputs[0][0])
        # of each image by itself: a matrix product of several may round differently
        strangeness = classifier.strangeness(computed.outputs)
        return Prediction(
            name,
            best_classes(probabilities, classifier, top),
            given_labels(probabilities, classifier),
            unknown_score=None if strangeness is None else float(strangeness[0]),
        )

    def _class_number(self, label: str) -> int:
        for number, names in enumerate(self._classifier.classes):
            if label in names:
                return number
        raise Refused(400, "label is none of the classes; GET /model lists them.")

    def _draw(self, pixels: np.ndarray, number: int) -> bytes:
        from tlkit.reporting.plots import draw_heat  # imports matplotlib

        def compute(images: np.ndarray) -> np.ndarray:
            return np.stack([self._classifier.probabilities(row) for row in self._batcher.compute(images)[0]])

        heat = heat_map(compute, pixels, number, multi_label=self._classifier.thresholds is not None)
        return draw_heat(pixels, heat, HEAT_SIDE)


def _fetch(url: str) -> bytes:
    from tlkit.data.url import PrivateHostError, fetch  # urllib3 takes a while to import

    try:
        return fetch(url)
    except InputError as error:
        if isinstance(error.__cause__, PrivateHostError):  # its message has addresses, and an option of predict
            raise InputError("it leads to a host inside the network of the server, which is never asked") from error
        raise
