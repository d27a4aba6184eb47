"""Rows that tlkit keeps by itself: stores in its cache, or beside the work where the cache cannot be written to."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from tlkit.caches import LOCK, cache_folder, cache_limit, keep_below_limit, touch
from tlkit.engines.network import digest_of
from tlkit.errors import FeatureError
from tlkit.features.store import RowStore, open_store
from tlkit.locks import locked
from tlkit.progress import logger
from tlkit.text import printable

Result = TypeVar("Result")


class KeptRows:
    """Stores by provenance, open until the work is done.

    Args:
        fallback: A folder to keep them in meanwhile, where the cache cannot be written to.
    """

    def __init__(self, fallback: Path) -> None:
        cache_limit()  # a limit that is none must not be found out after hours of training
        self._root, self._fallback = cache_folder() / "features", fallback
        self._until_done = ExitStack()

    def __enter__(self) -> KeptRows:
        return self

    def __exit__(self, *error: object) -> None:
        self._until_done.close()
        keep_below_limit()

    def fill(self, provenances: Sequence[Mapping[str, Any]], work: Callable[[list[RowStore]], Result]) -> Result:
        """Do some work on the stores of provenances; only this process adds rows to them meanwhile."""
        try:
            return self._locked(provenances, work)
        except (FeatureError, OSError) as error:
            if self._root == self._fallback:
                raise
            logger.warning(
                "tlkit's cache does not take the features (%s); they are kept in %s for now.",
                printable(getattr(error, "message", None) or error).rstrip("."),
                printable(self._fallback),
            )
        self._root = self._fallback
        self._until_done.callback(shutil.rmtree, self._fallback, ignore_errors=True)
        return self._locked(provenances, work)

    def _locked(self, provenances: Sequence[Mapping[str, Any]], work: Callable[[list[RowStore]], Result]) -> Result:
        folders = [self._root / digest_of(provenance) for provenance in provenances]
        with ExitStack() as locks:
            for folder in sorted(folders):  # in one order everywhere, so that no two wait for each other
                folder.mkdir(parents=True, exist_ok=True)
                locks.enter_context(locked(folder / LOCK))
            stores = [
                self._until_done.enter_context(open_store(folder, provenance))
                for folder, provenance in zip(folders, provenances, strict=True)
            ]
            result = work(stores)
        for folder in folders:
            touch(folder)
        return result
