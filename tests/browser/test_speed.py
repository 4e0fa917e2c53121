"""How fast the views are, in a real JupyterLab. Nothing here depends on the figures: they are kept as an artefact."""

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext

from tests.browser.jupyter import ARTIFACTS, Lab, running_server
from tests.browser.test_player import LINK, expected, opened

pytestmark = pytest.mark.slow

WRITE = """() => window.jupyterapp.shell.currentWidget.content.widgets[1].model.sharedModel
    .setSource("lab.play(trace)")"""
OPEN = """async () => {
    const notebook = window.jupyterapp.shell.currentWidget.content, before = performance.now();
    notebook.activeCellIndex = 1;
    window.jupyterapp.commands.execute("notebook:run-cell");
    while (document.querySelectorAll("[data-testid=player] svg").length < 2) await new Promise(requestAnimationFrame);
    return performance.now() - before;
}"""
SCRUB = """async () => {
    const shown = document.querySelector("[data-testid=player]"), slider = shown.querySelector("[data-testid=slider]");
    const seen = new Set(), last = Number(slider.max), before = performance.now();
    for (let frame = 1; frame <= last; frame++) {
        slider.value = frame;
        slider.dispatchEvent(new Event("input"));
        await new Promise(requestAnimationFrame);
        seen.add(shown.dataset.at);
    }
    return [seen.size, (seen.size * 1000) / (performance.now() - before)];
}"""
CLICK = """async () => {
    const shown = document.querySelector("[data-testid=player]"), times = [];
    for (let click = 0; click < 60; click++) {
        const before = performance.now(), at = shown.dataset.at;
        shown.querySelector("[data-testid=wait]").click();
        while (shown.dataset.at === at) await new Promise((done) => setTimeout(done));
        times.push(performance.now() - before);
    }
    return times;
}"""


def keep(**figures: Any) -> None:
    path = ARTIFACTS / "speed.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | figures, indent=2))


async def test_a_run_of_more_than_five_hundred_events_opens_and_is_scrubbed(
    lab: Lab, server_root: Path, tmp_path: Path
) -> None:
    first = f'from gryadka import lab\ntrace = lab.trace_of("{LINK}")\nlab.play(trace)'
    page, _, errors = await opened(lab, server_root, "speed.ipynb", first, "")
    await page.evaluate(WRITE)
    open_ms = await page.evaluate(OPEN)
    frames, per_s = await page.evaluate(SCRUB)
    player = expected()
    assert frames == len(player.view) - 1
    player.save(tmp_path / "run.html")
    size_kb = (tmp_path / "run.html").stat().st_size / 1024
    keep(frames=len(player.view), open_ms=round(open_ms), scrubbed_per_s=round(per_s), saved_page_kb=round(size_kb))
    assert errors == []


async def clicks_ms(lab: Lab, root: Path, name: str) -> list[float]:
    page, shown, errors = await opened(lab, root, name, "from gryadka import lab\nlab.cluster()")
    await shown.get_by_text("Time", exact=True).click()
    times: list[float] = await page.evaluate(CLICK)
    assert await shown.get_attribute("data-at") == "60"
    assert errors == []
    return times


async def test_clicks_come_back_one_after_the_other(lab: Lab, server_root: Path) -> None:
    times = await clicks_ms(lab, server_root, "clicks.ipynb")
    keep(click_ms_median=round(statistics.median(times), 1), click_ms_worst=round(max(times), 1))


async def test_clicks_come_back_from_a_server_without_the_extension_too(
    browser: BrowserContext, server_root: Path, tmp_path: Path
) -> None:
    off = "--ServerApp.jpserver_extensions=gryadka.jupyter=False"
    with running_server(tmp_path, server_root, off) as server:
        lab = Lab(browser, server["url"], server["token"])
        times = await clicks_ms(lab, server_root, "slow-clicks.ipynb")
        await lab.close()
    assert "gryadka.jupyter | extension was successfully loaded" not in (tmp_path / "log").read_text()
    keep(click_ms_median_without_the_extension=round(statistics.median(times), 1))
