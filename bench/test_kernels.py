"""Every kernel's cases under pytest-benchmark: `python -m pytest bench --benchmark-only`."""

from typing import Any

import pytest
from aisle.bench.kernels.catalogue import PACKAGES, cases

MOST_S = 0.2     # a package's cases together; each is one of a few dozen


@pytest.mark.parametrize("package", PACKAGES)
def test_cases(benchmark: Any, package: str) -> None:
    """All cases of a package in a row: a guard against a change that slows it down."""
    calls = [(case.call, case.fresh()) for case in cases(package)]

    def run() -> None:
        for call, arguments in calls:
            call(**arguments)
    benchmark._max_time = MOST_S
    benchmark(run)
