"""A view never shows a dead picture without saying so: Python restarted, killed, ended; a page that was reloaded."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from gryadka.views.frames import Frame, Frames
from gryadka.views.player import Player
from gryadka.views.svg import drawn, label
from tests.browser.jupyter import IS_IDLE, RUN_CELL, Lab
from tests.browser.test_player import artifact, opened, said

NOTEBOOK = "from gryadka import lab\nhand = lab.cluster()\nhand"
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
RESTART = f"() => {KERNEL}.restart()"
SHUT_DOWN = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
KILL = f"() => {{ {KERNEL}.requestExecute({{ code: 'import os; os.kill(os.getpid(), 9)' }}); }}"
SAVE = "() => window.jupyterapp.commands.execute('docmanager:save')"
KEEP_WIDGETS = "() => window.jupyterapp.commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState')"
ENDED, CUT = "Python was restarted, or has ended.", "The connection to Python is down."


async def one_step(lab: Lab, root: Path, name: str, *more: str) -> tuple[Page, Locator, list[str]]:
    page, shown, errors = await opened(lab, root, name, NOTEBOOK, *more)
    await shown.press("a")
    await expect(shown).to_have_attribute("data-at", "1")
    await expect(shown.get_by_test_id("fate")).to_be_hidden()
    return page, shown, errors


async def still_plays(shown: Locator) -> None:
    await expect(shown.get_by_test_id("choices").get_by_role("button")).to_have_count(0)
    await expect(shown.locator("svg [data-act]")).to_have_count(0)
    before = await shown.get_attribute("data-at")
    await shown.press("ArrowLeft")
    await expect(shown).not_to_have_attribute("data-at", before or "")


async def test_a_kernel_that_is_shut_down_is_told_by_the_view_itself(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await one_step(lab, server_root, "ended.ipynb")
    await shown.locator("svg").get_by_test_id("packet 1").focus()
    await page.evaluate(SHUT_DOWN)
    await expect(shown.get_by_test_id("fate")).to_contain_text(ENDED, timeout=2000)
    assert await shown.evaluate("part => document.activeElement === part"), "the keys still work"
    await artifact(shown, "python-ended")
    await still_plays(shown)
    assert errors == []


async def test_a_restart_is_told_by_both_views_and_the_cell_run_again_brings_a_new_one(
    lab: Lab, server_root: Path
) -> None:
    page, shown, _ = await one_step(lab, server_root, "restarted.ipynb", "hand")
    await page.evaluate(RESTART)
    for number in (0, 1):
        fate = page.get_by_test_id("player").nth(number).get_by_test_id("fate")
        await expect(fate).to_contain_text(ENDED, timeout=2000)
    await still_plays(shown)
    await page.wait_for_function(IS_IDLE, arg="restarted.ipynb", timeout=60_000)
    await page.evaluate(RUN_CELL, 0)
    fresh = page.get_by_test_id("player").first
    await expect(fresh).to_have_attribute("data-at", "0")
    await expect(fresh.get_by_test_id("fate")).to_be_hidden()
    await fresh.press("a")
    await expect(fresh).to_have_attribute("data-at", "1")
    await expect(page.get_by_test_id("player").nth(1).get_by_test_id("fate")).to_contain_text(ENDED)


async def test_a_kernel_that_is_killed_is_told_as_soon_as_the_server_notices(lab: Lab, server_root: Path) -> None:
    page, shown, _ = await one_step(lab, server_root, "killed.ipynb")
    await page.evaluate(KILL)
    await expect(shown.get_by_test_id("fate")).to_contain_text(ENDED, timeout=15_000)  # it looks every three seconds
    await page.locator(".jp-Dialog .jp-mod-accept").click()  # JupyterLab says so, too
    await still_plays(shown)


async def test_after_a_reload_the_page_shows_what_python_knows_and_goes_on(lab: Lab, server_root: Path) -> None:
    page, shown, _ = await one_step(lab, server_root, "reload.ipynb")
    await shown.press("1")
    await expect(shown).to_have_attribute("data-at", "2")
    before = await said(shown)
    await page.evaluate(SAVE)
    await page.reload()
    await page.wait_for_function(IS_IDLE, arg="reload.ipynb", timeout=60_000)
    await expect(shown).to_have_attribute("data-at", "2")
    assert await said(shown) == before
    await expect(shown.get_by_test_id("fate")).to_be_hidden()
    await shown.press("1")
    await expect(shown).to_have_attribute("data-at", "3")


@pytest.mark.parametrize("kept", [True, False], ids=["widgets-saved", "widgets-not-saved"])
async def test_a_notebook_that_was_saved_and_opened_with_another_python(
    lab: Lab, server_root: Path, kept: bool
) -> None:
    page, shown, _ = await one_step(lab, server_root, f"later-{kept}.ipynb")
    if kept:
        await page.evaluate(KEEP_WIDGETS)
    await page.evaluate(SAVE)
    if kept:
        await page.evaluate(KEEP_WIDGETS)  # the setting is the whole server's
    await page.evaluate(SHUT_DOWN)
    await page.reload()
    await page.wait_for_function(IS_IDLE, arg=f"later-{kept}.ipynb", timeout=60_000)
    if kept:
        await expect(shown.get_by_test_id("fate")).to_contain_text(ENDED)
        await artifact(shown, "python-another")
        await still_plays(shown)
    else:  # JupyterLab's own words, where the picture was
        await expect(page.get_by_text("Error displaying widget: model not found")).to_be_visible()
        await expect(page.get_by_test_id("player")).to_have_count(0)


# -- where there is no JupyterLab: what anywidget hands over, made by hand ---------------------------------------

MODEL = """async ([module, state, kernel]) => {
    const signal = () => {
        const slots = [];
        return { connect: (slot) => slots.push(slot), disconnect: () => { slots.length = 0; }, emit: () =>
            slots.forEach((slot) => slot()), slots };
    };
    window.kernel = kernel && { status: "idle", connectionStatus: "connected", isDisposed: false,
        statusChanged: signal(), connectionStatusChanged: signal(), disposed: signal() };
    window.heard = {};
    const model = { get: (name) => state[name], set: (name, value) => { state[name] = value; }, send() {},
        save_changes() {}, off: (name) => { delete window.heard[name]; }, widget_manager: { kernel: window.kernel },
        on: (name, call) => { window.heard[name] = call; } };
    const widget = (await import("data:text/javascript;base64," + module)).default();
    widget.initialize({ model });
    window.leave = widget.render({ model, el: document.body });
}"""


async def by_hand(lab: Lab, *, kernel: bool) -> Page:
    frame = Frame(drawn("one", "one", [label(9, 9, "one")], 20), "one")
    player = Player(Frames("By hand", [frame, Frame(frame.svg, "two")]))
    state: dict[str, Any] = {"packed": player.all_frames(), "title": "By hand", "demo": False, "speed": 2, "at": 0}
    page = await lab.browser.new_page()
    await page.evaluate(MODEL, [b64encode(Player._esm.encode()).decode(), state, kernel])
    return page


async def test_a_connection_that_is_down_is_told_until_it_is_back(lab: Lab) -> None:
    page = await by_hand(lab, kernel=True)
    fate = page.get_by_test_id("fate")
    await expect(fate).to_be_hidden()
    for status, told in (("connecting", CUT), ("connected", ""), ("disconnected", CUT), ("connected", "")):
        await page.evaluate(
            "status => { kernel.connectionStatus = status; kernel.connectionStatusChanged.emit(); }", status
        )
        await expect(fate).to_contain_text(told) if told else await expect(fate).to_be_hidden()
    await page.evaluate("() => { kernel.status = 'autorestarting'; kernel.statusChanged.emit(); }")
    await page.evaluate("() => { kernel.status = 'idle'; kernel.statusChanged.emit(); }")
    await expect(fate).to_contain_text(ENDED)  # another Python does not know this view
    await page.evaluate("() => leave()")
    assert await page.evaluate("() => kernel.statusChanged.slots.length + Object.keys(heard).length") <= 2
    await page.close()


async def test_where_no_kernel_can_be_asked_the_mark_of_ipywidgets_tells(lab: Lab) -> None:
    page = await by_hand(lab, kernel=False)
    await expect(page.get_by_test_id("fate")).to_be_hidden()
    await page.evaluate(
        "() => { document.body.classList.add('jupyter-widgets-disconnected'); heard.comm_live_update(); }"
    )
    await expect(page.get_by_test_id("fate")).to_contain_text(ENDED)
    await page.keyboard.press("Tab")
    await page.get_by_test_id("player").press("ArrowRight")
    await expect(page.get_by_test_id("said")).to_have_text("two")
    await page.close()
