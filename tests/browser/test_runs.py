"""Simulated runs behind controls, in a real JupyterLab: a control moves, and another run is shown."""

from pathlib import Path

from playwright.async_api import expect

from gryadka.views.runs import Runs
from tests.browser.jupyter import ARTIFACTS, Lab
from tests.browser.test_player import opened, said

NOTEBOOK = "from gryadka import lab\nruns = lab.runs('loss-2-2-2', 1)\nruns"


async def test_each_control_that_moves_brings_another_run_or_another_speed(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(lab, server_root, "runs.ipynb", NOTEBOOK)
    verdict = page.get_by_test_id("verdict")
    await expect(verdict).to_have_text(Runs("loss-2-2-2", 1).in_words())
    await shown.press("PageDown")
    await page.set_viewport_size({"width": 1000, "height": 1400})
    await page.screenshot(path=ARTIFACTS / "runs-1000.png")
    await page.get_by_role("spinbutton", name="Seed").fill("2")
    await page.get_by_role("spinbutton", name="Seed").press("Tab")
    other = Runs("loss-2-2-2", 2)
    await expect(verdict).to_have_text(other.in_words())
    await expect(shown).to_have_attribute("data-at", "0")
    await expect(shown).to_have_attribute("aria-label", "loss-2-2-2, seed 2")
    await shown.press("PageDown")
    assert await said(shown) == other.player.view[10].announced
    await page.get_by_role("combobox", name="Speed, steps a second").select_option("10")
    await expect(shown.get_by_test_id("speed")).to_have_value("10")
    await shown.press("-")
    await expect(page.get_by_role("combobox", name="Speed, steps a second")).to_have_value("5")
    await page.get_by_role("combobox", name="F, servers that may fail").select_option("2")
    await expect(verdict).to_contain_text("5 acceptors")
    await page.get_by_role("spinbutton", name="Lost, of each packet").press("ArrowUp")
    await expect(verdict).to_contain_text("9% of packets lost")
    await page.get_by_role("combobox", name="Scenario").select_option("amnesia")
    await expect(verdict).to_contain_text("amnesia, seed 2")
    await page.set_viewport_size({"width": 1280, "height": 1600})
    assert errors == []
