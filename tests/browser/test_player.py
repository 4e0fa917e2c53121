"""The player in a real JupyterLab: it plays, steps and scrubs by mouse and by keys, and says what Python says."""

from pathlib import Path

from playwright.async_api import Locator, Page, expect

from gryadka.lab import play
from gryadka.simulation.link import rebuild
from gryadka.views.player import Player
from tests.browser.jupyter import ARTIFACTS, Lab
from tests.browser.test_lessons import write_notebook

LINK = "gryadka-run:loss-1-1-1:3"
NOTEBOOK = f'from gryadka import lab\nplayer = lab.play("{LINK}")\nplayer'


def expected() -> Player:
    player = play(rebuild(LINK))
    assert player is not None
    return player


async def opened(lab: Lab, root: Path, name: str, *cells: str) -> tuple[Page, Locator, list[str]]:
    notebook = await lab.open_and_run(write_notebook(root, name, *cells))
    shown = notebook.page.get_by_test_id("player").first
    await expect(shown).to_be_visible()
    return notebook.page, shown, notebook.console_errors


async def said(shown: Locator) -> str:
    return await shown.get_by_test_id("said").inner_text()


async def artifact(shown: Locator, name: str) -> None:
    await shown.screenshot(path=ARTIFACTS / f"{name}.png")


async def test_a_run_is_stepped_by_mouse_and_keys_and_the_picture_says_what_python_says(
    lab: Lab, server_root: Path
) -> None:
    page, shown, errors = await opened(lab, server_root, "player.ipynb", NOTEBOOK)
    view = expected().view
    assert await said(shown) == view[0].announced
    await shown.get_by_test_id("on").click()
    await shown.get_by_test_id("on").click()
    assert await said(shown) == view[2].announced
    await shown.press("ArrowRight")
    assert await said(shown) == view[3].announced
    assert await shown.get_by_test_id("words").text_content() == view[3].words
    await artifact(shown, "player-step-3")
    await page.keyboard.press("End")
    assert await said(shown) == view[len(view) - 1].announced
    await page.keyboard.press("ArrowLeft")
    assert await said(shown) == view[len(view) - 2].announced
    await page.keyboard.press("Home")
    assert await said(shown) == view[0].announced
    await shown.get_by_test_id("slider").fill("100")
    assert await said(shown) == view[100].announced
    assert errors == []


async def test_what_is_drawn_is_what_python_drew(lab: Lab, server_root: Path) -> None:
    _, shown, errors = await opened(lab, server_root, "drawn.ipynb", NOTEBOOK)
    view = expected().view
    same = """(shown, svg) => {
        const drawn = shown.querySelector("svg"), meant = new DOMParser().parseFromString(svg, "image/svg+xml");
        const attributes = (part) => [...part.attributes].map((a) => a.name + a.value).sort();
        const told = (part) => [part.tagName, part.children.length ? "" : part.textContent, ...attributes(part),
            ...[...part.children].flatMap(told)];
        return JSON.stringify(told(drawn)) === JSON.stringify(told(meant.documentElement));
    }"""
    for number, key in [(0, "Home"), (1, "ArrowRight"), (11, "PageDown"), (21, "PageDown"), (20, "ArrowLeft")]:
        await shown.press(key)
        assert await shown.evaluate(same, view[number].svg), number
    assert not await shown.evaluate(same, view[19].svg)
    assert errors == []


async def test_keys_are_listed_and_the_large_form_hides_the_controls(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(lab, server_root, "keys.ipynb", NOTEBOOK)
    await shown.press("?")
    await expect(shown.get_by_test_id("keys")).to_contain_text("one step on, one step back")
    await artifact(shown, "player-keys")
    await shown.press("?")
    await expect(shown.get_by_test_id("keys")).to_be_hidden()
    await shown.press("w")
    await expect(shown.get_by_test_id("words")).to_be_visible()
    await shown.press("d")
    await expect(shown.get_by_test_id("slider")).to_be_hidden()
    await page.keyboard.press("Space")
    assert await said(shown) == expected().view[1].announced
    await page.screenshot(path=ARTIFACTS / "player-demonstration.png")
    await page.keyboard.press("d")
    await expect(shown.get_by_test_id("slider")).to_be_visible()
    # JupyterLab would have deleted the cell at "d d", if it had seen these keys.
    assert await page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length") == 1
    assert errors == []


async def test_it_plays_without_the_kernel_and_two_views_go_together(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(lab, server_root, "twice.ipynb", NOTEBOOK, "player")
    second = page.get_by_test_id("player").nth(1)
    await shown.press("ArrowRight")
    await expect(second.get_by_test_id("said")).to_have_text(expected().view[1].announced)
    await page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    await shown.get_by_test_id("speed").select_option("30")
    await shown.get_by_test_id("play").click()
    await page.wait_for_function("() => document.querySelector('[data-testid=player]').dataset.at > 60")
    assert errors == []


WRONG_RULE = """
from gryadka import lab
from gryadka.course import check
from gryadka.protocol.acceptor import Promise

def prepare(state, message):
    return state._replace(promised=message.ballot), Promise(state.accepted, state.value)

check.acceptor(prepare=prepare)
lab.play(check.finding)
"""


async def test_the_counterexample_of_a_wrong_rule_plays_from_its_check(lab: Lab, server_root: Path) -> None:
    _, shown, errors = await opened(lab, server_root, "counterexample.ipynb", WRONG_RULE)
    told = [await said(shown)]
    for _ in range(4):
        await shown.press("ArrowRight")
        told.append(await said(shown))
    assert told[0] == "Nothing has happened yet."
    assert told[1].startswith("Proposer 1 begins change 1")
    assert told[4].endswith("By the rules: A refuses 1:1, because it has promised 2:1")
    assert "promised 1:1" in await shown.locator("svg").get_by_text("promised 1:1").first.inner_html()
    await artifact(shown, "player-counterexample")
    assert errors == []


async def test_a_saved_page_plays_without_jupyter(lab: Lab, tmp_path: Path) -> None:
    player = expected()
    player.save(tmp_path / "run.html")
    page = await lab.browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("request", lambda request: errors.append(request.url) if not request.url.startswith("file:") else None)
    await page.set_viewport_size({"width": 700, "height": 900})
    await page.goto((tmp_path / "run.html").as_uri())
    shown = page.get_by_test_id("player")
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("ArrowRight")
    assert await said(shown) == player.view[2].announced
    assert await page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
    await artifact(shown, "saved-page-700")
    now = "part => getComputedStyle(part.querySelector('rect.now')).stroke"
    assert await shown.evaluate(now) == "rgb(0, 122, 89)"
    await page.emulate_media(color_scheme="dark")
    assert await shown.evaluate(now) == "rgb(63, 199, 155)", "the darker green is hard to see on a dark page"
    await artifact(shown, "saved-page-dark-700")
    await page.close()
    assert errors == []
