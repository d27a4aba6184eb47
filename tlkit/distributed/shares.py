"""Commands on many machines: one share of the images a call, and the result from all of them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tlkit.config import WorkersOptions
from tlkit.data.digests import Digest, file_digests
from tlkit.data.discovery import STDIN, is_url
from tlkit.distributed.parts import LARGEST_SHARD, READ_TOGETHER, Image, Parts, cut
from tlkit.errors import TlkitError, UsageError
from tlkit.features.extractor import FeatureExtractor
from tlkit.features.io import FeatureFile
from tlkit.inference.loop import ForwardBatch
from tlkit.utils.cache_dir import cache_folder
from tlkit.utils.interrupt import resumable_by_repeating
from tlkit.utils.logging import warn_skipped
from tlkit.utils.text import join_truncated, pluralize, without_password


@dataclass(frozen=True)
class PartResult:
    """One share of the images, computed.

    Attributes:
        part: Which: ``3/8``.
        folder: Where the parts of all machines are.
        images: Number of images in the share.
        computed: Number of images computed now; the others were.
        skipped: ``(input, reason)`` of images that cannot be read.
    """

    part: str
    folder: Path
    images: int
    computed: int
    skipped: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON document of a command with ``--part``."""
        return {
            "part": self.part,
            "folder": str(self.folder),
            "images": self.images,
            "computed": self.computed,
            "skipped": [{"input": source, "error": reason} for source, reason in self.skipped],
        }


def compute_part(
    config: WorkersOptions,
    folder: Path,
    extractor: FeatureExtractor,
    sources: Sequence[str],
    *,
    batch_size: int | None,
    existing: Iterable[FeatureFile] = (),
) -> PartResult:
    """Compute one share of the images of a job.

    Args:
        config: Its options; ``part`` is which share.
        folder: Where the parts are, on storage that all machines see.
        extractor: Computes.
        sources: Paths and URLs of all images; every machine has the same list.
        batch_size: Images per batch; None for the engine's own number.
        existing: Finished feature files of the same provenance, whose images are not computed again.

    Raises:
        TlkitError: The folder cannot be written to, or the network cannot be run.
    """
    number, count = config.share
    refuse_stdin(sources)
    mine = sources[len(sources) * (number - 1) // count : len(sources) * number // count]
    known = {digest for rows in existing for digest in rows.metadata.digests}
    digests = file_digests(mine, extractor.modality)
    images = [image for image in zip(mine, digests, strict=True) if image[1] not in known]
    parts = Parts(folder, extractor)
    parts.create_folder()
    parts.read_all()
    lacking = parts.lacking(images)
    with resumable_by_repeating():
        for shard in cut(lacking, LARGEST_SHARD):
            parts.compute(shard, extractor, batch_size=batch_size, description=f"part {config.part}")
            parts.read(parts.path(shard))
    parts.finish(number, count)
    skipped = [(without_password(image[0]), reason) for image in images if (reason := parts.reason(image))]
    warn_skipped(skipped)
    return PartResult(f"{number}/{count}", folder, len(mine), len(lacking), tuple(skipped))


def cached_parts(extractor: FeatureExtractor, command: str, *inputs: str) -> Path:
    """Return where the parts of a command are that writes no features: in the cache directory."""
    paths = [item if is_url(item) else os.path.abspath(item) for item in inputs]
    job = "\n".join([extractor.provenance.key(), command, *paths])
    return cache_folder() / "parts" / hashlib.sha256(job.encode(errors="surrogateescape")).hexdigest()[:32]


@contextmanager
def parts_of(
    config: WorkersOptions,
    folder: Path,
    extractor: FeatureExtractor,
    make: Callable[[], FeatureExtractor],
    *,
    batch_size: int | None,
) -> Iterator[None]:
    """Let an extractor take the rows from parts inside the block: those that exist, or that Ray's workers compute.

    Without ``--merge`` and ``--ray`` it computes by itself. The parts are removed when the block succeeds.

    Args:
        config: The options of the job.
        folder: Where the parts are, on storage that all machines see.
        extractor: Takes the rows.
        make: Makes an extractor that equals it, on another machine; can be pickled.
        batch_size: Images per batch; None for the engine's own number.

    Raises:
        TlkitError: Parts are missing or differ; Ray is not installed or cannot be reached; workers fail.
    """
    if not config.merge and config.ray is None:
        yield
        return
    with ExitStack() as stack:
        workers = None
        if config.ray is not None:
            from tlkit.distributed.ray_workers import RayWorkers

            workers = stack.enter_context(RayWorkers(config, make))
        parts = Parts(folder, extractor)
        parts.read_all()

        def rows(sources: Sequence[str], digests: Sequence[Digest], description: str) -> Iterator[ForwardBatch]:
            refuse_stdin(sources)
            images = list(zip(sources, digests, strict=True))
            if workers is not None:
                workers.compute(parts, parts.lacking(images), batch_size=batch_size, description=description)
            else:
                _refuse_lacking(parts, parts.lacking(images, failed=False), len(images))
            return parts.batches(images, batch_size or READ_TOGETHER)

        extractor.elsewhere = rows
        try:
            yield
        finally:
            extractor.elsewhere = None
    shutil.rmtree(folder, ignore_errors=True)


def refuse_stdin(sources: Sequence[str]) -> None:
    """Refuse standard input, which no other machine has.

    Raises:
        UsageError: It is among the sources.
    """
    if STDIN in sources:
        raise UsageError("Other machines cannot read standard input.", hint="Save the image to a file.")


def _refuse_lacking(parts: Parts, lacking: Sequence[Image], total: int) -> None:
    if not lacking:
        return
    unfinished = parts.unfinished()
    again = "Run the same command with --part K/N instead of --merge"
    if parts.different:
        path, differences = next(iter(parts.different.items()))
        raise TlkitError(
            f"{path} was computed differently: {'; '.join(differences)}.",
            hint=f"Install the same versions on all machines. {again} for each part.",
        )
    if unfinished:
        missing = (
            f"Part {join_truncated(unfinished)} is missing"
            if len(unfinished) == 1
            else (f"Parts {join_truncated(unfinished)} are missing")
        )
        raise TlkitError(
            f"{missing} in {parts.folder}: {len(lacking):,} of {pluralize(total, 'image')} have no features yet, "
            f"{lacking[0][0]} is the first.",
            hint=f"{again} for {'it' if len(unfinished) == 1 else 'each of them'}.",
        )
    raise TlkitError(
        f"No part in {parts.folder} has {pluralize(len(lacking), 'image')}, {lacking[0][0]} is the first.",
        hint=f"{again}: images that are new or changed are computed, and no others.",
    )
