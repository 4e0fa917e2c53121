"""Each view, opened, clicked and keyed in a real JupyterLab: what the picture says is what Python says."""

from pathlib import Path

import pytest
from playwright.async_api import Locator, expect

from gryadka import lab as labs
from gryadka.simulation.run import simulate
from gryadka.trace import Trace
from gryadka.views import figures
from gryadka.views.player import Player
from tests.browser.jupyter import ARTIFACTS, RUN_CELL, Lab
from tests.browser.test_lessons import write_notebook
from tests.browser.test_player import artifact, opened, said

FIRST = """
from gryadka import lab
from gryadka.simulation.run import simulate
from gryadka.trace import Trace
from gryadka.views import figures

trace = Trace(simulate("loss-2-2-2", 3).events[:120])
history = simulate("loss-quorum-of-1", 3)
"""
TEXTS = "part => [...part.querySelectorAll('svg text')].map((text) => text.textContent)"


def known() -> dict[str, object]:
    trace = Trace(simulate("loss-2-2-2", 3).events[:120])
    return {"lab": labs, "figures": figures, "trace": trace, "history": simulate("loss-quorum-of-1", 3)}


def same(cell: str) -> object:
    """What the cell shows, made here: the notebook's source is ours."""
    return eval(cell, known())


async def check_frame(shown: Locator, view: Player, number: int) -> None:
    frame = view.view[number]
    await expect(shown).to_have_attribute("data-at", str(number))
    assert await said(shown) == frame.announced
    assert await shown.get_by_test_id("words").text_content() == frame.words
    texts = await shown.locator(".picture").evaluate(TEXTS)
    assert texts and all(f">{text}<".replace("&", "&amp;") in frame.svg.replace("&quot;", '"') for text in texts)
    assert await shown.locator("svg desc").text_content() == f"\n{frame.words}\n"


@pytest.mark.parametrize(
    "name, cell",
    [
        ("spacetime", "lab.spacetime(trace)"),
        ("state-graph", "lab.state_graph(trace)"),
        ("proposers", "lab.proposers(trace)"),
    ],
)
async def test_a_view_of_a_run_goes_where_clicks_and_keys_lead(
    lab: Lab, server_root: Path, name: str, cell: str
) -> None:
    _, shown, errors = await opened(lab, server_root, f"each-{name}.ipynb", f"{FIRST}\n{cell}")
    view = same(cell)
    assert isinstance(view, Player)
    last = len(view.view) - 1
    at = view.at
    await check_frame(shown, view, at)
    for number, key in ((0, "Home"), (1, "ArrowRight"), (11, "PageDown"), (10, "ArrowLeft"), (last, "End")):
        await shown.press(key)
        await check_frame(shown, view, number)
    for number, control in ((0, "first"), (1, "on"), (0, "back"), (last, "last")):
        await shown.get_by_test_id(control).click()
        await check_frame(shown, view, number)
    await shown.get_by_test_id("slider").fill(str(last // 2))
    await check_frame(shown, view, last // 2)
    await artifact(shown, f"each-{name}")
    await shown.get_by_test_id("speed").select_option("30")
    await shown.press(" ")
    await expect(shown).to_have_attribute("data-at", str(last), timeout=20_000)
    await check_frame(shown, view, last)
    assert errors == []


async def test_histories_and_figures_stand_in_the_page_with_their_words(lab: Lab, server_root: Path) -> None:
    cells = {
        "history": "lab.history(history.history, history.verdict)",
        "latencies": "figures.latencies({'one round trip': [0.004, 0.005, 0.02], 'two': [0.008, 0.011, 0.05]})",
        "throughput": "figures.throughput([{'workload': 'one key', 'system': 'gryadka', 'changes_per_second': 15000}])",
        "states": "figures.state_counts([{'scope': '3 acceptors', 'distinct': 48210}])",
        "availability": "figures.availability(history.history, marks={history.history[9].invoked_s: 'A is killed'})",
    }
    notebook = await lab.open_and_run(write_notebook(server_root, "pictures.ipynb", FIRST, *cells.values()))
    for number, (name, cell) in enumerate(cells.items(), start=1):
        picture = same(cell)
        svg = notebook.page.locator(".jp-Cell").nth(number).locator("svg[role=img]")
        await expect(svg).to_be_visible()
        assert await svg.locator("> title").text_content() == picture.title  # type: ignore[attr-defined]
        assert await svg.locator("> desc").text_content() == picture.text  # type: ignore[attr-defined]
        await svg.screenshot(path=ARTIFACTS / f"each-{name}.png")
    assert notebook.console_errors == []


async def test_a_prediction_is_chosen_by_mouse_or_keys_and_recalled(lab: Lab, server_root: Path) -> None:
    ask = "from gryadka import lab\nlab.predict('How many may die?', options=['none', 'one', 'two'], answer='one')"
    notebook = await lab.open_and_run(write_notebook(server_root, "predict.ipynb", ask, "lab.recall()"))
    page = notebook.page
    table = page.locator(".jp-Cell").nth(1).locator("table")
    await expect(table).to_contain_text("(no choice was made)")  # it ran to its end, and waited for nobody
    for choose, told in (("two", "not as you predicted"), ("one", "as you predicted")):
        button = page.get_by_role("radio", name=choose, exact=True)
        if choose == "two":
            await button.click()
        else:  # from two to one
            await page.get_by_role("radio", name="two", exact=True).press("Shift+Tab")
            await page.keyboard.press("Space")
        await expect(button).to_be_checked()
        await page.evaluate(RUN_CELL, 1)
        await expect(table.get_by_role("row", name=f"You predicted {choose}", exact=True)).to_be_visible()
        await expect(table.get_by_role("row", name=f"So it was {told}", exact=True)).to_be_visible()
    await page.locator(".jp-Cell").nth(1).screenshot(path=ARTIFACTS / "each-prediction.png")
    assert notebook.console_errors == []
