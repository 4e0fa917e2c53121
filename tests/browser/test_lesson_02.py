"""Lesson 02 itself, in a real JupyterLab: be the network by mouse and by keys, step back, fork; a counterexample."""

import shutil
from pathlib import Path

import nbformat
from playwright.async_api import Locator, Page, expect

from tests.browser.jupyter import ARTIFACTS, ROOT, Lab
from tests.browser.test_player import artifact, said
from tests.lessons.lesson_02_by_ear import BEGINS, GOES_ON, PLAYED, REFUSED, WRONG
from tests.lessons.runner import answers

LESSON = "02_promises"
COUNTEREXAMPLE = "acceptor A had promised 2:1, and its promise is now 1:1 (promises never go back)"


def copied(root: Path, **cells: str) -> str:
    """The lesson in a folder of its own, some cells with another source; what passes is kept there, too."""
    folder = root / "lesson-02"
    folder.mkdir(exist_ok=True)
    notebook = nbformat.read(ROOT / "notebooks" / f"{LESSON}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cells.get(cell.id.replace("-", "_"), cell.source)
    nbformat.write(notebook, folder / f"{LESSON}.ipynb")
    shutil.copytree(ROOT / "notebooks" / "pictures", folder / "pictures", dirs_exist_ok=True)
    return f"lesson-02/{LESSON}.ipynb"


def view(page: Page, name: str) -> Locator:
    return page.locator(f'[data-testid=player][aria-label="{name}"]')


async def at(shown: Locator, frame: int, told: str) -> None:
    await expect(shown).to_have_attribute("data-at", str(frame))
    assert await said(shown) == told


async def test_the_whole_lesson_by_mouse_and_by_keys(lab: Lab, server_root: Path) -> None:
    right, wrong = answers(LESSON)
    path = copied(server_root, build_prepare=wrong["build-prepare"][WRONG][0], build_accept=right["build-accept"])
    notebook = await lab.open_and_run(path)
    await deliver_everything(view(notebook.page, "A cluster whose network is you"), notebook.page)
    await play_the_counterexample(view(notebook.page, COUNTEREXAMPLE))
    await expect(notebook.page.get_by_text("✗ not yet: " + COUNTEREXAMPLE)).to_be_visible()
    states = view(notebook.page, "The states that an acceptor can reach")
    await artifact(states, "lesson-02-states")
    await expect(states.locator("svg [data-key^='state ']")).to_have_count(6)
    await expect(states.get_by_test_id("play")).to_be_hidden()  # it is one picture
    assert notebook.console_errors == []


async def deliver_everything(shown: Locator, page: Page) -> None:
    await at(shown, 2, BEGINS[2])
    await shown.locator("svg").get_by_test_id("packet 4").click()
    await at(shown, 3, REFUSED[0][1])
    await shown.press("1")
    await at(shown, 4, REFUSED[1][1])
    assert "A says no to prepare 1:1" in (await shown.get_by_test_id("words").text_content() or "")
    refusal = await shown.locator("svg [data-key='node A'] text").all_text_contents()
    assert " ".join(refusal[4:]) == "says no to prepare 1:1: it has promised 1:2, and 1:1 is not higher"
    await artifact(shown, "lesson-02-refusal")
    for frame, told in enumerate(GOES_ON, start=5):
        if frame % 2:
            await page.keyboard.press("1")
        else:
            await shown.get_by_test_id("choices").get_by_text("Deliver", exact=True).first.click()
        await at(shown, frame, told)
    last = 4 + len(GOES_ON)
    await artifact(shown, "lesson-02-both-chosen")
    await shown.press("ArrowLeft")
    await at(shown, last - 1, GOES_ON[-2])
    await shown.press("Home")
    await at(shown, 0, BEGINS[0])
    for frame in (1, 2):
        await shown.press("ArrowRight")
        await at(shown, frame, BEGINS[frame])
    await shown.locator("svg").get_by_test_id("packet 4").focus()
    await page.keyboard.press("x")  # another way on from here: message 4 is lost
    await at(shown, 3, "Prepare 1:2 to A is lost.")
    await expect(shown.get_by_test_id("place")).to_have_text("3 / 3")
    await shown.get_by_text("Branches").click()
    await shown.get_by_test_id("branch 1").click()
    await at(shown, last, GOES_ON[-1])


async def play_the_counterexample(shown: Locator) -> None:
    await at(shown, 0, PLAYED[0])
    for frame, told in enumerate(PLAYED[1:], start=1):
        await shown.press("ArrowRight")
        await at(shown, frame, told)
    await shown.press("Home")
    await shown.get_by_test_id("speed").select_option("10")
    await shown.get_by_test_id("play").click()
    await at(shown, len(PLAYED) - 1, PLAYED[-1])
    await artifact(shown, "lesson-02-counterexample")
    assert (ARTIFACTS / "lesson-02-counterexample.png").exists()
