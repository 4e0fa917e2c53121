"""Lesson 01's schedule by hand, in a real JupyterLab: by mouse, by keys, back, and on from there."""

from pathlib import Path

from playwright.async_api import expect

from tests.browser.jupyter import RUN_CELL, Lab
from tests.browser.test_player import artifact, opened, said

NOTEBOOK = "from gryadka.course import schedules\nhand = schedules.by_hand()\nhand"


async def test_a_schedule_is_made_by_clicks_and_keys_and_python_has_it(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(lab, server_root, "schedule.ipynb", NOTEBOOK, "print(hand.schedule)")
    await shown.get_by_test_id("Ann asks A").click()
    await expect(shown).to_have_attribute("data-at", "1")
    await shown.press("1")  # the first that may happen next: A has been asked, so it is B
    await expect(shown).to_have_attribute("data-at", "2")
    assert await said(shown) == "Ann asks B: hears nothing, sends 1: milk."
    await artifact(shown, "schedule")
    await expect(shown.get_by_test_id("Ann asks C")).to_have_count(0)
    await shown.press("ArrowLeft")
    await expect(shown).to_have_attribute("data-at", "1")
    await shown.get_by_test_id("Bob asks C").click()
    await expect(shown).to_have_attribute("data-at", "2")
    assert await said(shown) == "Bob asks C: hears nothing."
    await page.evaluate(RUN_CELL, 1)
    await expect(page.get_by_text("Ann asks A\nBob asks C")).to_be_visible()
    assert errors == []
