"""How a view behaves: less motion where that is asked for, a visible focus, a demonstration, two hundred updates."""

from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from playwright.async_api import expect

from tests.browser.jupyter import ARTIFACTS, RUN_CELL, Lab
from tests.browser.test_player import LINK, artifact, opened, said
from tests.browser.test_speed import keep

PLAY = f'from gryadka import lab\nplayer = lab.play("{LINK}")\nplayer'
HAND = 'from gryadka import lab\nhand = lab.cluster("append P1")\nhand'
COUNT_MOVEMENTS = """() => {
    window.movements = 0;
    const animate = Element.prototype.animate;
    Element.prototype.animate = function (...rest) { window.movements += 1; return animate.apply(this, rest); };
}"""
OUTLINE = "part => getComputedStyle(part).outlineStyle + ' ' + getComputedStyle(part).outlineWidth"


async def test_where_less_motion_is_asked_for_nothing_moves_and_all_the_same_is_shown(
    lab: Lab, server_root: Path
) -> None:
    page, shown, errors = await opened(lab, server_root, "motion.ipynb", PLAY)
    await page.evaluate(COUNT_MOVEMENTS)
    told = []
    for motion in ("no-preference", "reduce"):
        await page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
        await shown.press("Home")
        for _ in range(6):
            await page.wait_for_timeout(350)  # quicker steps do not move either
            await shown.press("ArrowRight")
        told.append((await page.evaluate("movements"), await shown.get_by_test_id("words").text_content()))
        await page.evaluate("() => { movements = 0; }")
    (moved, words), (still, same) = told
    assert moved > 0 and still == 0
    assert words == same
    assert errors == []


async def test_every_control_can_be_reached_by_tab_and_is_seen_when_it_has_the_focus(
    lab: Lab, server_root: Path
) -> None:
    page, shown, errors = await opened(lab, server_root, "tab.ipynb", HAND)
    await shown.focus()
    seen = []
    for _ in range(40):
        await page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if not await shown.evaluate("part => part.contains(document.activeElement)"):
            break
        assert (await focused.evaluate(OUTLINE)).startswith("solid"), await focused.evaluate("part => part.outerHTML")
        name = await focused.get_attribute("data-testid") or await focused.evaluate("part => part.tagName")
        seen.append(name)
    assert {"packet 1", "packet 3", "node A", "node proposer-1"} <= set(seen), "things in the picture"
    assert {"first", "back", "play", "on", "last", "slider", "speed", "demo", "help"} <= set(seen)
    assert {"deliver 1", "lose 1", "duplicate 1", "append P1", "SUMMARY"} <= set(seen)
    assert errors == []


async def test_the_focus_stays_where_the_keys_are_when_its_thing_goes(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(lab, server_root, "stays.ipynb", HAND)
    await shown.locator("svg").get_by_test_id("packet 1").focus()
    await page.keyboard.press("x")
    await expect(shown).to_have_attribute("data-at", "2")
    await page.keyboard.press("2")  # nobody has clicked anywhere
    await expect(shown).to_have_attribute("data-at", "3")
    assert errors == []


async def test_the_list_of_keys_names_those_of_the_choices(lab: Lab, server_root: Path) -> None:
    _, shown, errors = await opened(lab, server_root, "list.ipynb", HAND)
    await shown.press("?")
    keys = shown.get_by_test_id("keys")
    for text in (
        "Lose (messages: tab to one in the picture first)",
        "Duplicate (messages: tab",
        "Begin: append (proposer 1)",
        "Crash (proposers and acceptors: tab",
        "Let it stand still (acceptors: tab",
        "Let a second pass (the clock)",
        "1 … 9",
    ):
        await expect(keys).to_contain_text(text)
    listed = await keys.locator("dt").all_text_contents()
    assert len(listed) == len(set(listed)), "each key once"
    await artifact(shown, "keys-of-a-cluster")
    await shown.press("Escape")
    await expect(keys).to_be_hidden()
    assert errors == []


async def test_a_demonstration_is_large_steps_by_one_key_and_shows_no_notes(lab: Lab, server_root: Path) -> None:
    demo = f'from gryadka import lab\nlab.play("{LINK}", demo=True)'
    page, shown, errors = await opened(lab, server_root, "demo.ipynb", demo)
    size = "part => parseFloat(getComputedStyle(part).fontSize)"
    assert await shown.get_by_test_id("said").evaluate(size) >= 20
    for part in ("slider", "play", "words", "choices", "keys"):
        await expect(shown.get_by_test_id(part)).to_be_hidden()
    await expect(shown.get_by_text("The picture in words")).to_be_hidden()
    for frame, key in enumerate(["Space", "ArrowRight", "PageDown", "Space"], start=1):
        await shown.press(key)
        await expect(shown).to_have_attribute("data-at", str(frame))
    await shown.press("PageUp")
    await expect(shown).to_have_attribute("data-at", "3")
    await page.screenshot(path=ARTIFACTS / "demonstration-in-the-notebook.png")
    await shown.press("Escape")
    await expect(shown.get_by_test_id("slider")).to_be_visible()
    assert await shown.get_by_test_id("said").evaluate(size) < 20
    assert errors == []


async def test_a_long_diagram_scrolls_to_where_it_is_and_its_controls_stay(lab: Lab, server_root: Path) -> None:
    page, shown, errors = await opened(
        lab, server_root, "long.ipynb", f'from gryadka import lab\nlab.spacetime("{LINK}")'
    )
    await page.set_viewport_size({"width": 1000, "height": 800})
    inside = """part => {
        const frame = part.querySelector(".picture").getBoundingClientRect();
        const mark = part.querySelector("[data-key=now] line").getBoundingClientRect();
        return frame.top <= mark.top && mark.bottom <= frame.bottom + 1 && frame.height <= 0.76 * innerHeight;
    }"""
    for key in ("Home", "PageDown", "PageDown", "End", "PageUp"):
        await shown.press(key)
        await page.wait_for_timeout(350)
        if key != "Home":
            assert await shown.evaluate(inside), key
    await page.set_viewport_size({"width": 1280, "height": 1600})
    assert errors == []


PUSH = """
import asyncio, time
from gryadka.views.frames import Frame, Frames
from gryadka.views.player import Player
from gryadka.views.svg import box, drawn, group, label

def frame(number):
    shapes = [group("box", number * 3, 10, [box(0, 0, 40, 30), label(4, 20, str(number))])]
    return Frame(drawn("Counting", f"This is {number}.", shapes, 60), f"This is {number}.")

counting = Player(Frames("Counting", [frame(0)]))
counting
"""
PUSH_ALL = """
async def push(pause_s):
    for number in range(1, 201):
        counting.view.append(frame(number))
        counting.update()
        await asyncio.sleep(pause_s)

begun = time.perf_counter()
await push(PAUSE)
print(f"{200 / (time.perf_counter() - begun):.0f} a second")
"""
PAINTED = """() => {
    window.painted = [];
    let before = null;
    const look = (now) => {
        const shown = document.querySelector("[data-testid=player] svg text")?.textContent;
        if (shown !== before) window.painted.push([now, Number(shown)]);
        before = shown;
        requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
}"""


@pytest.mark.slow
@pytest.mark.parametrize("pause_s", [0.0, 0.05], ids=["at-once", "20-a-second"])
async def test_two_hundred_updates_are_all_taken_in_and_what_is_painted_is_counted(
    lab: Lab, server_root: Path, pause_s: float
) -> None:
    page, shown, errors = await opened(lab, server_root, f"push-{pause_s}.ipynb", PUSH, "")
    await page.evaluate(
        "source => window.jupyterapp.shell.currentWidget.content.widgets[1].model.sharedModel.setSource(source)",
        PUSH_ALL.replace("PAUSE", str(pause_s)),
    )
    await page.evaluate(PAINTED)
    await page.evaluate(RUN_CELL, 1)
    await expect(shown).to_have_attribute("data-at", "200")
    assert await said(shown) == "This is 200."
    await expect(shown.get_by_test_id("place")).to_have_text("200 / 200")
    pushed = await page.get_by_text("a second", exact=False).last.text_content()
    painted = await page.evaluate("() => painted")
    numbers = [number for _, number in painted]
    assert numbers == sorted(numbers) and numbers[-1] == 200, "never back, and the last one is painted"
    await shown.press("Home")
    await shown.press("ArrowRight")
    assert await said(shown) == "This is 1.", "those that were not painted are there all the same"
    gaps = [after - before for (before, _), (after, _) in pairwise(painted)]
    name = f"pushed_200_with_{pause_s:g}_s_between"
    keep(
        **{name: {"pushed": pushed, "painted": len(painted), "gap_ms_median": round(median(gaps)), "worst": max(gaps)}}
    )
    assert errors == []
