"""Which cases of a test run with every run of the tests."""

from collections.abc import Iterable
from typing import Any

import pytest


def one_in(number: int, cases: Iterable[Any]) -> list[Any]:
    """Return the values of a parameter: one in ``number`` always runs, the others with `make test-all`."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else [case]), marks=[pytest.mark.every] if index % number else []
        )
        for index, case in enumerate(cases)
    ]
