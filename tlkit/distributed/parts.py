"""What machines have computed of a job: feature files in a folder that all of them see.

The images of a job are cut into shards. A part is what one machine computed of a shard: an HDF5 feature file with a
group for each output of the network, named by the digest of the provenance and of the images. A part counts when its
name exists. Rows are found by the image, whatever part they are in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from tlkit.data.digests import Digest
from tlkit.errors import TlkitError
from tlkit.features.extractor import FeatureExtractor
from tlkit.features.io import FeatureBlocks, FeatureFile, FeatureMetadata, open_h5, write_h5
from tlkit.features.store import open_store
from tlkit.inference.loop import ForwardBatch
from tlkit.utils.atomic_write import part_folder
from tlkit.utils.cache_dir import create_folder
from tlkit.utils.logging import logger
from tlkit.utils.text import without_password

Image = tuple[str, Digest]
"""A path or URL, and the SHA-256 of its bytes; None where that is not known."""

LARGEST_SHARD = 10_000
"""Images that are lost with a machine, at most."""
READ_TOGETHER = 256
_SHARE = re.compile(r"part-(\d+)-of-(\d+)")


class Parts:
    """The parts of a job.

    Args:
        folder: Where they are, on storage that all machines see.
        extractor: What computes them; parts of another provenance do not count.

    Attributes:
        different: Parts of another provenance, with what differs.
    """

    def __init__(self, folder: Path, extractor: FeatureExtractor) -> None:
        self.folder, self.provenance = folder, extractor.provenance
        self.different: dict[Path, list[str]] = {}
        self._outputs = extractor.specs[0].outputs
        self._files: list[list[FeatureFile]] = []
        self._rows: dict[str, tuple[int, int]] = {}
        self._reasons: dict[str, str] = {}

    def path(self, shard: Sequence[Image]) -> Path:
        """Return where the part of a shard is once it is whole."""
        digest = hashlib.sha256(
            "\n".join([self.provenance.key(), *map(image_key, shard)]).encode(errors="surrogateescape")
        )
        return self.folder / f"{digest.hexdigest()[:32]}.h5"

    def create_folder(self) -> None:
        """Create the folder.

        Raises:
            TlkitError: It cannot be created.
        """
        try:
            create_folder(self.folder)
        except OSError as error:
            raise TlkitError(f"Cannot write to {self.folder}: {error.strerror or error}.") from error

    def read_all(self) -> None:
        """Read which rows there are."""
        for path in sorted(self.folder.glob("*.h5")):
            self.read(path)

    def read(self, path: Path) -> None:
        """Read which rows a part has; one that is damaged is removed.

        Raises:
            TlkitError: The storage does not give it.
        """
        try:
            path.open("rb").close()
        except OSError as error:
            raise TlkitError(f"{path} cannot be read: {error.strerror or error}.") from error
        try:
            files = [open_h5(path, "0")]
            differences = files[0].metadata.provenance.diff(self.provenance)
            if differences:
                self.different[path] = differences
                return
            if files[0].metadata.files:
                files += [open_h5(path, str(output)) for output in range(1, self._outputs)]
        except TlkitError as error:
            logger.warning("%s Its images are computed again.", error.message)
            path.unlink(missing_ok=True)
            return
        metadata = files[0].metadata
        self._rows |= {key: (len(self._files), row) for row, key in enumerate(metadata.files)}
        self._reasons |= dict(metadata.skipped)
        self._files.append(files)

    def lacking(self, images: Sequence[Image], *, failed: bool = True) -> list[Image]:
        """Return the images that no part has a row of, each once.

        Args:
            images: The images.
            failed: Those that could not be read are among them.
        """
        found = {image_key(image): image for image in images}
        return [image for key, image in found.items() if key not in self._rows and (failed or key not in self._reasons)]

    def reason(self, image: Image) -> str | None:
        """Return why an image has no row; None for one that has."""
        key = image_key(image)
        return None if key in self._rows else self._reasons[key]

    def batches(self, images: Sequence[Image], size: int) -> Iterator[ForwardBatch]:
        """Yield the rows of images as :func:`tlkit.inference.loop.forward` does, in the same batches."""
        positions: list[int] = []
        failed: list[tuple[int, str]] = []
        for position, image in enumerate(images):
            reason = self.reason(image)
            if reason is None:
                positions.append(position)
            else:
                failed.append((position, reason))
            if len(positions) == size or position + 1 == len(images):
                yield self._batch(images, positions, failed)
                positions, failed = [], []

    def _batch(
        self, images: Sequence[Image], positions: Sequence[int], failed: Sequence[tuple[int, str]]
    ) -> ForwardBatch:
        places = [self._rows[image_key(images[position])] for position in positions]
        numbers, rows = np.array(places, np.int64).reshape(-1, 2).T
        shapes = [file.shape for file in self._files[numbers[0]]] if places else []
        outputs = tuple(np.empty((len(places), *shape), np.float32) for shape in shapes)
        for number in np.unique(numbers):
            chosen = numbers == number
            for output, file in zip(outputs, self._files[number], strict=True):
                output[chosen] = file.read(rows[chosen])
        digests = tuple(self._files[number][0].metadata.digests[row] for number, row in places)
        return ForwardBatch(tuple(positions), outputs, tuple(failed), digests)

    def compute(
        self, shard: Sequence[Image], extractor: FeatureExtractor, *, batch_size: int | None, description: str
    ) -> None:
        """Compute the part of a shard; where another machine is faster, its part stays.

        Raises:
            OSError: The folder does not exist, or cannot be written to.
            TlkitError: The network cannot be run, or the disk is full.
        """
        path = self.path(shard)
        if path.exists():
            return
        keys = [image_key(image) for image in shard]
        with part_folder(self.folder) as private:
            with open_store(private / "rows", self.provenance) as store:
                result = extractor.compute_missing(
                    [source for source, _ in shard], [store], digests=[digest for _, digest in shard],
                    batch_size=batch_size, description=description,
                )  # fmt: skip
                rows = result.rows[0][:, 0]
                shapes = store.shapes or ((),)
                write_h5(
                    private / path.name,
                    {
                        str(output): FeatureBlocks(
                            store.blocks(rows, output) if len(rows) else (),
                            shape,
                            FeatureMetadata(
                                self.provenance,
                                [keys[position] for position in result.positions],
                                result.digests,
                                store.checks(rows, output) if len(rows) else np.empty(0, np.uint32),
                                skipped=[(keys[position], reason) for position, reason in result.failed],
                            ),
                        )
                        for output, shape in enumerate(shapes)
                    },
                )
            if not path.exists():
                (private / path.name).rename(path)

    def finish(self, number: int, count: int) -> None:
        """Note that all images of one of ``count`` shares are in parts."""
        (self.folder / f"part-{number}-of-{count}").touch()

    def unfinished(self) -> list[str]:
        """Return the shares that are lacking beside those that are finished, as ``3/8``."""
        finished: dict[int, set[int]] = {}
        with suppress(FileNotFoundError):
            for path in self.folder.iterdir():
                if match := _SHARE.fullmatch(path.name):
                    finished.setdefault(int(match[2]), set()).add(int(match[1]))
        return [
            f"{number}/{count}"
            for count, numbers in sorted(finished.items())
            for number in range(1, count + 1)
            if number not in numbers
        ]


def image_key(image: Image) -> str:
    """Return what a row is found by: the digest of the image, or its URL where that is not known."""
    source, digest = image
    return digest.hex() if digest else without_password(source)


def cut(images: Sequence[Image], size: int) -> list[Sequence[Image]]:
    """Cut images into shards of at most ``size``."""
    return [images[start : start + size] for start in range(0, len(images), size)]
