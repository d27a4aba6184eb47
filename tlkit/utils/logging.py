"""What a running command tells people: notes, warnings and bars, all on stderr.

Parts log to the ``tlkit`` logger: INFO for a note, WARNING for something the user should act on, DEBUG for
``-v``. The command line decides what is shown; used as a library, tlkit is silent unless logging is set up.
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger("tlkit")
logger.addHandler(logging.NullHandler())


class Interruption:
    """Whether Ctrl-C was pressed. A ``KeyboardInterrupt`` that C++ was called in is lost; a training asks here too."""

    def __init__(self) -> None:
        self.came = False

    def raise_it(self) -> None:
        """Raise the ``KeyboardInterrupt`` that was lost.

        Raises:
            KeyboardInterrupt: There was one.
        """
        if self.came:
            raise KeyboardInterrupt


interruption = Interruption()


def progress_bar(*, total: int | None, unit: str, description: str, scale: bool = False) -> Any:
    """A tqdm bar; it draws only on a terminal, and not at all with ``-q``.

    Args:
        total: How many units there are; None where that is not known.
        unit: What one is: ``image``, ``batch``.
        description: What is going on.
        scale: Say 1.2M for 1,200,000.
    """
    from tqdm import tqdm

    quiet = not logger.isEnabledFor(logging.INFO)
    return tqdm(
        total=total,
        unit=unit,
        unit_scale=scale,
        desc=description,
        leave=False,
        dynamic_ncols=True,
        disable=True if quiet else None,
    )
