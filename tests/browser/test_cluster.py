"""Be the network, in a real JupyterLab: messages are delivered by mouse and by keys; back and fork."""

from pathlib import Path

from playwright.async_api import Locator, expect

from gryadka import lab as labs
from tests.browser.jupyter import Lab
from tests.browser.test_player import artifact, opened, said

NOTEBOOK = "from gryadka import lab\nhand = lab.cluster()\nhand"


async def settled(shown: Locator, frame: int) -> None:
    await expect(shown).to_have_attribute("data-at", str(frame))


async def test_messages_are_delivered_by_mouse_and_by_keys_and_an_acceptor_says_why_it_refuses(
    lab: Lab, server_root: Path
) -> None:
    page, shown, errors = await opened(lab, server_root, "hand.ipynb", NOTEBOOK)
    done = ["append P1", "append P2", "deliver 4", "deliver 1", "lose 2", "deliver 3"]
    view = labs.cluster(*done).view
    await shown.get_by_test_id("append P1").click()  # a button of the list
    await settled(shown, 1)
    await shown.press("b")  # proposer 2's key
    await settled(shown, 2)
    await shown.locator("svg").get_by_test_id("packet 4").click()  # in the picture
    await settled(shown, 3)
    await shown.press("1")  # the first message of the list
    await settled(shown, 4)
    assert await said(shown) == view[4].announced
    assert "A says no to prepare 1:1" in view[4].announced
    await artifact(shown, "cluster-refusal")
    await shown.locator("svg").get_by_test_id("packet 2").focus()
    await page.keyboard.press("x")  # lose what has the focus
    await settled(shown, 5)
    await expect(shown.locator("svg").get_by_test_id("packet 2")).to_have_count(0)  # crossed out: nothing to be done
    await expect(shown.locator("svg [data-key='packet 2']")).to_have_count(1)
    await shown.locator("svg").get_by_test_id("packet 3").focus()
    await page.keyboard.press("Enter")
    await settled(shown, 6)
    assert await shown.get_by_test_id("words").text_content() == view[6].words
    assert errors == []


async def test_going_back_and_forking_keeps_the_branch(lab: Lab, server_root: Path) -> None:
    _, shown, errors = await opened(lab, server_root, "fork.ipynb", NOTEBOOK)
    view = labs.cluster("append P1", "crash A").view
    for frame, key in enumerate(["a", "1", "1"], start=1):
        await shown.press(key)
        await settled(shown, frame)
    await shown.press("Home")
    await shown.press("ArrowRight")
    await settled(shown, 1)
    await shown.get_by_test_id("crash A").click()
    await settled(shown, 2)
    assert await said(shown) == view[2].announced
    await expect(shown.get_by_test_id("place")).to_have_text("2 / 2")
    await shown.get_by_text("Branches").click()
    await artifact(shown, "cluster-branches")
    await shown.get_by_test_id("branch 1").click()
    await settled(shown, 3)
    assert errors == []


async def test_python_sees_what_was_clicked_and_two_views_show_the_same(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(lab, server_root, "both.ipynb", NOTEBOOK, "hand", "print(hand.acts)")
    second = page.get_by_test_id("player").nth(1)
    await shown.press("a")
    await settled(shown, 1)
    await expect(second.get_by_test_id("said")).to_have_text(await said(shown))
    await page.evaluate("""async () => {
        const notebook = window.jupyterapp.shell.currentWidget.content;
        notebook.activeCellIndex = 2;
        await window.jupyterapp.commands.execute("notebook:run-cell");
    }""")
    await expect(page.get_by_text("['append P1']")).to_be_visible()
    assert errors == []


async def test_an_act_that_has_become_impossible_is_told_in_the_view(lab: Lab, server_root: Path) -> None:
    _, shown, errors = await opened(lab, server_root, "late.ipynb", NOTEBOOK)
    await shown.press("a")
    await settled(shown, 1)
    await shown.locator("svg").get_by_test_id("packet 1").evaluate("part => { part.dataset.act = 'deliver 99'; }")
    await shown.locator("svg").get_by_test_id("packet 1").click()
    await expect(shown.get_by_test_id("trouble")).to_have_text("ValueError: 'deliver 99' cannot be done now")
    await shown.press("1")
    await settled(shown, 2)
    await expect(shown.get_by_test_id("trouble")).to_be_hidden()
    assert errors == []


async def test_a_browser_that_missed_a_message_asks_for_everything(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(lab, server_root, "missed.ipynb", NOTEBOOK, "hand._take_in(1)")
    await page.evaluate(
        """async () => {
        const notebook = window.jupyterapp.shell.currentWidget.content;
        notebook.activeCellIndex = 1;
        notebook.activeCell.model.sharedModel.setSource("""
        """'hand._hand.act("append P1", 0); hand._take_in(1); hand.do("deliver 1")');
        await window.jupyterapp.commands.execute("notebook:run-cell");
    }"""
    )
    await settled(shown, 2)
    await shown.press("ArrowLeft")
    assert await said(shown) == labs.cluster("append P1").view[1].announced
    assert errors == []


async def test_the_focus_is_seen_on_the_view_and_on_a_message(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(lab, server_root, "focus.ipynb", NOTEBOOK)
    outline = "part => getComputedStyle(part).outlineStyle + ' ' + getComputedStyle(part).outlineWidth"
    assert await shown.evaluate(outline) != "solid 3px"
    await shown.press("a")
    await settled(shown, 1)
    assert await shown.evaluate(outline) == "solid 3px"
    await page.keyboard.press("Tab")  # the first thing in the picture that can be chosen
    focused = page.locator(":focus")
    assert await focused.get_attribute("role") == "button"
    assert await focused.get_attribute("aria-label")
    assert await focused.evaluate(outline) == "solid 3px"
    await artifact(shown, "cluster-focus")
    assert errors == []


async def test_it_fits_into_700_pixels_and_into_the_dark(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(
        lab,
        server_root,
        "narrow.ipynb",
        "from gryadka import lab\nlab.cluster('append P1', 'append P2', 'deliver 4', 'deliver 1')",
    )
    await page.evaluate("() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    await page.wait_for_selector("body[data-jp-theme-light=false]", state="attached")
    await settled(shown, 4)
    try:
        for width in (700, 1000):
            await page.set_viewport_size({"width": width, "height": 1400})
            await page.wait_for_timeout(500)  # JupyterLab lays itself out anew
            await shown.scroll_into_view_if_needed()
            assert await shown.evaluate("part => part.scrollWidth <= part.clientWidth + 1")
            await artifact(shown, f"cluster-dark-{width}")
        colours = await shown.evaluate("part => [getComputedStyle(part).color, getComputedStyle(part).backgroundColor]")
        assert colours[0] != colours[1]
    finally:
        await page.evaluate(
            "() => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})"
        )
        await page.set_viewport_size({"width": 1280, "height": 1600})
    assert errors == []
