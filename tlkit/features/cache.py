"""Features that tlkit caches by itself: in its cache directory, or beside the run where that cannot be written."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tlkit.errors import FeatureError
from tlkit.features.store import FeatureStore, open_store
from tlkit.inference.provenance import Provenance
from tlkit.utils.cache_dir import LOCK, cache_folder, cache_limit, create_folder, keep_below_limit, touch
from tlkit.utils.locks import locked
from tlkit.utils.logging import logger


class FeatureCache:
    """Feature stores by provenance, readable until the cache is closed.

    Args:
        fallback: A folder to use where the cache directory cannot be written to; the caller removes it.
        process: Of several processes that compute at the same time, each has stores of its own.
    """

    def __init__(self, fallback: Path, process: int = 0) -> None:
        cache_limit()  # an invalid limit must not be noticed after hours of training
        self._root, self._fallback = cache_folder() / "features", fallback
        self._suffix = f"-{process}" if process else ""
        self._open = ExitStack()
        self._used: set[Path] = set()

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._open.close()
        # an interrupted run will be resumed: its features stay, whatever their size
        removed = keep_below_limit(*(self._used if kind else ()))
        if any(entry.path in self._used for entry in removed):
            logger.info("The features of this run exceed TLKIT_CACHE_LIMIT and are not cached for the next.")

    @contextmanager
    def open_for_writing(self, provenances: Sequence[Provenance]) -> Iterator[list[FeatureStore]]:
        """Open the stores of different provenances; only this process appends to them inside the block.

        Raises:
            FeatureError: A store cannot be written to.
            OSError: The folder cannot be created.
        """
        folders = [self._root / f"{provenance.key()}{self._suffix}" for provenance in provenances]
        self._used.update(folders)
        with ExitStack() as locks:
            for folder in sorted(folders):  # in one order everywhere, so that no two processes wait for each other
                create_folder(folder)
                try:
                    locks.enter_context(locked(folder / LOCK))
                except OSError as error:  # a read-only cache can still be read
                    if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                        raise
            yield [
                self._open.enter_context(open_store(folder, provenance))
                for folder, provenance in zip(folders, provenances, strict=True)
            ]
        for folder in folders:
            touch(folder)

    def use_fallback(self, error: FeatureError | OSError) -> None:
        """Switch to the fallback folder after an error of the cache; raise the error where that would not help."""
        if self._root == self._fallback or (_is_full(error) and self._is_on_one_disk()):
            raise error
        reason = str(getattr(error, "message", error)).rstrip(".")
        logger.warning("Cannot write to the feature cache (%s); using %s instead.", reason, self._fallback)
        self._root = self._fallback

    def _is_on_one_disk(self) -> bool:
        try:
            return self._root.stat().st_dev == self._fallback.parent.stat().st_dev
        except OSError:
            return False


def _is_full(error: Exception) -> bool:
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
