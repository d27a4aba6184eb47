"""Rows that tlkit keeps by itself: stores in its cache, or beside the work where the cache cannot be written to."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from tlkit.errors import FeatureError
from tlkit.features.store import FeatureStore, open_store
from tlkit.utils.cache_dir import LOCK, cache_folder, cache_limit, keep_below_limit, touch
from tlkit.utils.hashing import digest_json
from tlkit.utils.locks import locked
from tlkit.utils.logging import logger

Result = TypeVar("Result")


class FeatureCache:
    """Stores by provenance, open until the work is done.

    Args:
        fallback: A folder to keep them in, where the cache cannot be written to; whose it is removes it.
    """

    def __init__(self, fallback: Path) -> None:
        cache_limit()  # a limit that is none must not be found out after hours of training
        self._root, self._fallback = cache_folder() / "features", fallback
        self._until_done = ExitStack()
        self._used: set[Path] = set()

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._until_done.close()
        # what was broken off is gone on with: its rows stay, whatever they take
        removed = keep_below_limit(*(self._used if kind else ()))
        if any(entry.path in self._used for entry in removed):
            logger.info("The rows of this run take more than TLKIT_CACHE_LIMIT and are not kept for the next.")

    def fill(
        self, provenances: Sequence[Mapping[str, Any]], work: Callable[[list[FeatureStore]], Result]
    ) -> tuple[list[FeatureStore], Result]:
        """Do some work on the stores of provenances, which differ; only this process adds rows to them meanwhile.

        Returns:
            The stores, which can be read until the work is done, and what it gave.
        """
        try:
            return self._locked(provenances, work)
        except (FeatureError, OSError) as error:
            if self._root == self._fallback or (_is_full(error) and self._is_on_one_disk()):
                raise
            logger.warning(
                "tlkit's cache does not take the features (%s); they are kept in %s for now.",
                str(getattr(error, "message", None) or error).rstrip("."),
                self._fallback,
            )
        self._root = self._fallback
        return self._locked(provenances, work)

    def _locked(
        self, provenances: Sequence[Mapping[str, Any]], work: Callable[[list[FeatureStore]], Result]
    ) -> tuple[list[FeatureStore], Result]:
        folders = [self._root / digest_json(provenance) for provenance in provenances]
        with ExitStack() as locks:
            for folder in sorted(folders):  # in one order everywhere, so that no two wait for each other
                folder.mkdir(parents=True, exist_ok=True)
                try:
                    locks.enter_context(locked(folder / LOCK))
                except OSError as error:  # rows of a cache that cannot be written to can be read
                    if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                        raise
            stores = [
                self._until_done.enter_context(open_store(folder, provenance))
                for folder, provenance in zip(folders, provenances, strict=True)
            ]
            result = work(stores)
        for folder in folders:
            touch(folder)
        self._used.update(folders)
        return stores, result

    def _is_on_one_disk(self) -> bool:
        try:
            return self._root.stat().st_dev == self._fallback.parent.stat().st_dev
        except OSError:
            return False


def _is_full(error: Exception) -> bool:
    cause = error if isinstance(error, OSError) else error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT)
