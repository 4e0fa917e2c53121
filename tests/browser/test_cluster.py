"""Be the network, in a real JupyterLab: messages are delivered by mouse and by keys; back and fork."""

from pathlib import Path

from playwright.async_api import Locator, expect

from gryadka import lab as labs
from gryadka.protocol.acceptor import Accept, Accepted, Reply, State
from tests.browser.jupyter import ARTIFACTS, RUN_CELL, Lab
from tests.browser.test_player import artifact, opened, said

DOOMED = (1, 2, 4, 5, 7, 8, 9, 10, 11, 12, 14, 15, 17, 18, 19, 20)
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
    await page.evaluate(RUN_CELL, 2)
    await expect(page.get_by_text("['append P1']")).to_be_visible()
    assert errors == []


async def test_clicks_that_come_faster_than_answers_follow_each_other(lab: Lab, server_root: Path) -> None:
    """The second one was another way on from where the first had been: its effect was gone, into a branch."""
    _, shown, errors = await opened(lab, server_root, "fast.ipynb", NOTEBOOK)
    quick = """(shown, acts) => {
        for (const act of acts) shown.querySelector(`[data-testid="choices"] [data-testid="${act}"]`).click();
    }"""
    await shown.evaluate(quick, ["append P1", "append P2", "append P2", "wait"])
    await settled(shown, 3)
    view = labs.cluster("append P1", "append P2", "wait").view
    assert await said(shown) == view[3].announced
    await expect(shown.get_by_text("Branches")).to_have_count(0)
    await shown.evaluate(quick, ["lose 1", "deliver 1", "deliver 2"])  # the second cannot be done any more
    await expect(shown.get_by_test_id("trouble")).to_have_text("ValueError: 'deliver 1' cannot be done now")
    await settled(shown, 4)
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


async def test_faults_are_made_and_mended_by_mouse_and_by_keys(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(lab, server_root, "faults.ipynb", NOTEBOOK)
    done: list[str] = []

    async def follows(act: str) -> None:
        done.append(act)
        await settled(shown, len(done))
        frame = labs.cluster(*done).view[len(done)]
        assert await said(shown) == frame.announced
        assert await shown.get_by_test_id("words").text_content() == frame.words

    async def pressed(thing: str, key: str, act: str) -> None:
        await shown.locator("svg").get_by_test_id(thing).focus()
        await page.keyboard.press(key)
        await follows(act)

    await shown.press("a")
    await follows("append P1")
    await pressed("packet 1", "y", "duplicate 1")
    await pressed("node A", "k", "crash A")
    await pressed("node A", "n", "forget A")
    await pressed("node B", "s", "pause B")
    await pressed("node B", "s", "resume B")
    await pressed("node proposer-2", "v", "read P2")
    await pressed("node proposer-1", "k", "crash P1")
    await artifact(shown, "cluster-faults")
    await pressed("node proposer-1", "r", "restart P1")
    await shown.get_by_text("Network", exact=True).click()
    for act in ("cut P2 C", "heal P2 C"):
        await shown.get_by_test_id(act).focus()
        await page.keyboard.press("Enter")
        await follows(act)
    await shown.get_by_text("Time", exact=True).click()
    await shown.get_by_test_id("wait").click()
    await follows("wait")
    assert errors == []


WRONG = """
from gryadka import lab
from gryadka.protocol.acceptor import Accepted

def accept(state, message):
    print("whatever it promised:", *state.promised)
    return state._replace(accepted=message.ballot, value=message.value), Accepted()

hand = lab.cluster(accept=accept)
hand
"""
DRAW = "lab.history(hand.history, hand.verdict)"


def accept(state: State, message: Accept) -> tuple[State, Reply]:
    return state._replace(accepted=message.ballot, value=message.value), Accepted()


async def test_a_run_by_hand_is_judged_on_the_spot_and_its_history_is_drawn(lab: Lab, server_root: Path) -> None:
    """Whoever accepts below its promise: both clients hear of success, and one change is lost."""
    page, shown, errors = await opened(lab, server_root, "judged.ipynb", WRONG, DRAW)
    below = shown.locator("svg > text").last
    hand = labs.cluster(accept=accept)
    for number, act in enumerate(["append P1", "append P2", *(f"deliver {n}" for n in DOOMED)], start=1):
        await expect(below).to_contain_text("So far: linearizable.")
        await shown.get_by_test_id("choices").get_by_test_id(act).click()
        await settled(shown, number)
        hand.do(act)
        printed = "Your rule prints: whatever it promised: 1 2. " if act == "deliver 11" else ""
        if act in ("deliver 11", "deliver 20"):
            assert await said(shown) == printed + hand.view[number].announced
    assert "Not linearizable: key 'register': neither of two texts" in await said(shown)
    await artifact(shown, "cluster-judged")
    await page.evaluate(RUN_CELL, 1)
    drawn = page.locator(".jp-Cell").nth(1).locator("svg[role=img]")
    await expect(drawn).to_contain_text("Thick: these operations fit into no order")
    assert await drawn.locator("desc").text_content() == labs.history(hand.history, hand.verdict).text
    await drawn.screenshot(path=ARTIFACTS / "cluster-judged-history.png")
    assert errors == []
