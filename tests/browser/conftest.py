"""One JupyterLab server and one browser for all tests in this folder."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, async_playwright

from tests.browser.jupyter import (
    CHROMIUM_FLAGS,
    ROOT,
    Lab,
    running_server,
)
from tools.machine import NO_BROWSER, find_browser
from tools.notebooks import FOLDERS


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder; one event loop for all of it, because the browser lives in one."""
    for item in items:
        if in_this_folder(item):
            item.add_marker(pytest.mark.browser)
            if pytest_asyncio.is_async_test(item):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    items.sort(key=in_this_folder)  # last, so that the failures of quicker tests are seen sooner


def in_this_folder(item: pytest.Item) -> bool:
    return Path(__file__).parent in item.path.parents


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BrowserContext]:
    path = find_browser()
    assert path is not None, NO_BROWSER
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=path,
            headless=True,
            args=CHROMIUM_FLAGS,
            viewport={"width": 1280, "height": 1600},
        )
        yield context
        await context.close()


@pytest.fixture(scope="session")
def server_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the course's notebooks: JupyterLab saves outputs and checkpoints as it goes."""
    root = tmp_path_factory.mktemp("course")
    for name in FOLDERS:
        if (ROOT / name).exists():
            shutil.copytree(ROOT / name, root / name)
    return root


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, server_root: Path) -> Iterator[dict[str, Any]]:
    """A JupyterLab with the settings that come with the package."""
    with running_server(tmp_path_factory.mktemp("jupyter"), server_root) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def lab(browser: BrowserContext, server: dict[str, Any]) -> AsyncIterator[Lab]:
    """The browser in front of the shared server; afterwards pages and kernels are closed."""
    lab = Lab(browser, server["url"], server["token"])
    yield lab
    await lab.close()
