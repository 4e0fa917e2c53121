"""The live view over real servers in a real JupyterLab: painted while 16 clients work, and true at the end."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from statistics import median

from playwright.async_api import Locator, expect

from tests.browser.jupyter import ARTIFACTS, Lab
from tests.browser.test_lessons import write_notebook

SECONDS = 4
START = "import gryadka\nfrom gryadka import lab\ncluster = await gryadka.local_cluster(3).start()"
SHOW = f"live = lab.live(cluster, for_s={SECONDS})\n'the cell has ended'"
# While the work goes on, the first line tells the time: so the browser can tell how old the picture is.
STAMP = """
import asyncio, time

async def stamp():
    while not all(task.done() for task in live._tasks[:-1]):
        live.walk.said = f"stamp {time.time() * 1000:.0f}"
        await asyncio.sleep(0.001)

stamping = asyncio.create_task(stamp())
"""
WAIT = "await live.finished()\nprint(live.report())\nawait cluster.proposer().change('counter', lambda value: value)"
AGAIN = "live.players[0]"

# Counts the pictures that are really painted, by the first player on the page: a picture counts if it differs from the
# one of the animation frame before.
COUNT = """
(() => {
  const seen = (window.seen = { painted: [], lags: [] });
  let before = null;
  const look = (now) => {
    const shown = document.querySelector("[data-testid=player] svg desc");
    if (shown && shown.textContent !== before) {
      before = shown.textContent;
      seen.painted.push(now);
      const stamp = /stamp (\\d+)/.exec(before);
      if (stamp) seen.lags.push(Date.now() - Number(stamp[1]));
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()
"""


async def test_it_is_painted_while_the_work_goes_on_and_ends_with_what_the_servers_hold(
    lab: Lab, server_root: Path
) -> None:
    count = f"from IPython.display import Javascript\nJavascript({COUNT!r})"
    path = write_notebook(server_root, "live.ipynb", count, START, SHOW, STAMP, WAIT, AGAIN)
    opened = await lab.open_and_run(path)
    assert opened.console_errors == []
    page, first = opened.page, opened.page.get_by_test_id("player").first
    (report,) = [output["text"] for output in opened.outputs() if output.get("name") == "stdout"]
    (value,) = [
        output["data"]["text/plain"]
        for output in opened.outputs()
        if output["output_type"] == "execute_result" and output["data"]["text/plain"].isdigit()
    ]
    assert "Nothing has happened yet" not in await first.get_by_test_id("said").inner_text()
    words = await first.get_by_test_id("words").text_content()
    times, lags = await page.evaluate("[window.seen.painted, window.seen.lags]")
    gaps = [after - before for before, after in pairwise(times)]
    measured = {"report": report, "painted": len(times), "gap_ms": median(gaps), "lag_ms": median(lags)}
    worst = {"longest_gap_ms": max(gaps), "longest_lag_ms": max(lags)}
    (ARTIFACTS / "live.json").write_text(json.dumps(measured | worst, indent=2))
    await first.screenshot(path=ARTIFACTS / "live.png")
    assert int(value) > 16 and words and words.count(f"value {value}") >= 2
    assert len(times) > 5, "it was painted while the work went on"
    # The kernel does nothing now; a click reaches the servers all the same.
    await kill_and_restart(first)
    assert opened.console_errors == []


async def kill_and_restart(shown: Locator) -> None:
    server = shown.locator("[data-testid^='acceptor ']").nth(1)
    name = (await server.get_attribute("data-testid") or "").removeprefix("acceptor ")
    await server.click()
    await expect(shown.get_by_test_id("said")).to_have_text(f"{name} is killed.")
    assert ", down\n" in (await shown.get_by_test_id("words").text_content() or "")
    await server.focus()
    await server.press("k")
    await expect(shown.get_by_test_id("said")).to_have_text(f"{name} is started again.")
    assert ", down\n" not in (await shown.get_by_test_id("words").text_content() or "")
