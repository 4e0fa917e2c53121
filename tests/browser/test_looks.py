"""How every view looks in JupyterLab, light and dark, wide and narrow: it fits and can be read; a picture is kept."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.jupyter import ARTIFACTS, Lab
from tests.browser.test_lessons import write_notebook

CELLS = {
    "cluster": 'lab.cluster("append P1", "append P2", "deliver 4", "deliver 1", "crash B", "pause C", "cut P2 A")',
    "run": 'lab.play("gryadka-run:loss-1-1-1:3")',
    "spacetime": "lab.spacetime(trace)",
    "states": "lab.state_graph(trace)",
    "rules": "lab.state_graph()",
    "proposers": "lab.proposers(trace)",
    "runs": "lab.runs('loss-2-2-2', 1)",
    "history": "result = simulate('loss-quorum-of-1', 3)\nlab.history(result.history, result.verdict)",
    "prediction": "lab.predict('How many servers may die?', ['none', 'one', 'two'])",
}
FIRST = """
from gryadka import lab
from gryadka.simulation.run import simulate
from gryadka.trace import Trace

trace = Trace(simulate("duel", 2).events[:120])
"""
WIDTHS = (1000, 700)
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
SET_THEME = """async (theme) => {
    const settings = await window.jupyterapp.serviceManager.settings.fetch("@jupyterlab/apputils-extension:themes");
    await window.jupyterapp.commands.execute("apputils:change-theme", { theme });
    return settings.id;
}"""
LEFT_AREA = "() => window.jupyterapp.commands.execute('application:toggle-left-area')"
TO_THE_MIDDLE = """() => {
    for (const slider of document.querySelectorAll("[data-testid=player] [data-testid=slider]")) {
        slider.value = Math.floor(slider.max * 0.7);
        slider.dispatchEvent(new Event("input"));
    }
}"""

# Contrast as WCAG 2 defines it, of every text and of every line that has a colour of its own.
CONTRAST = """() => {
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92
        : ((c + 0.055) / 1.055) ** 2.4).reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const behind = (part) => {
        for (; part; part = part.parentElement) {
            const colour = numbers(getComputedStyle(part).backgroundColor);
            if (colour.length < 4 || colour[3] > 0.99) return colour;
        }
        return [255, 255, 255];
    };
    const faded = (part) =>
        part && part.tagName !== "svg" ? getComputedStyle(part).opacity * faded(part.parentElement) : 1;
    const found = [];
    const look = (part, colour, least) => {
        const page = behind(part), [r, g, b, a = 1] = numbers(colour), share = a * faded(part);
        const seen = [r, g, b].map((c, n) => c * share + page[n] * (1 - share)), [x, y] = [light(seen), light(page)];
        const ratio = (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
        if (ratio < least) found.push(`${ratio.toFixed(1)} ${part.tagName} ${part.textContent.slice(0, 40)}`);
    };
    for (const root of document.querySelectorAll(".gryadka-player, .jp-OutputArea-output svg")) {
        for (const text of root.querySelectorAll("text")) look(text, getComputedStyle(text).fill, 4.5);
        for (const line of root.querySelectorAll(".yes, .no, .now")) look(line, getComputedStyle(line).stroke, 3);
        for (const part of root.querySelectorAll("p, button, summary, select, span")) if (part.offsetParent)
            look(part, getComputedStyle(part).color, 4.5);
    }
    return [...new Set(found)];
}"""
# What sticks out of the page, or of a picture.
OUTSIDE = """() => {
    const found = [];
    for (const root of document.querySelectorAll(".gryadka-player, .jp-OutputArea-output > .jp-RenderedHTMLCommon")) {
        if (root.scrollWidth > root.clientWidth + 1) found.push(`${root.scrollWidth} in ${root.clientWidth}`);
        for (const svg of root.querySelectorAll("svg")) {
            const frame = svg.getBoundingClientRect();
            for (const text of svg.querySelectorAll("text")) {
                const box = text.getBoundingClientRect();
                const outside = box.left < frame.left - 2 || box.right > frame.right + 2;
                if (box.width && (outside || box.bottom > frame.bottom + 2))
                    found.push(`${text.textContent} sticks out`);
            }
        }
    }
    return found;
}"""
# Texts that lie upon each other: more than a hair's breadth of both.
COVERED = """() => {
    const found = [];
    for (const svg of document.querySelectorAll(".gryadka-player svg")) {
        const boxes = [...svg.querySelectorAll("text")].map((text) => [text, text.getBoundingClientRect()]);
        boxes.forEach(([one, a], n) => boxes.slice(n + 1).forEach(([other, b]) => {
            const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (wide > 3 && high > 0.4 * Math.min(a.height, b.height))
                found.push(`${one.textContent} | ${other.textContent}`);
        }));
    }
    return found;
}"""


async def themed(page: Page, theme: str) -> None:
    assert await page.evaluate(SET_THEME, THEMES[theme]) == "@jupyterlab/apputils-extension:themes"
    await page.wait_for_selector(f"body[data-jp-theme-light={str(theme == 'light').lower()}]", state="attached")


@pytest.mark.slow
async def test_every_view_can_be_read_in_both_themes_at_both_widths(lab: Lab, server_root: Path) -> None:
    path = write_notebook(server_root, "looks.ipynb", FIRST, *CELLS.values())
    opened = await lab.open_and_run(path)
    page = opened.page
    await expect(page.get_by_test_id("player").nth(6)).to_be_visible()
    await page.evaluate(TO_THE_MIDDLE)
    await page.evaluate(LEFT_AREA)  # as on any narrow window: the list of files gives way
    trouble: dict[str, list[str]] = {}
    try:
        for theme in THEMES:
            await themed(page, theme)
            for width in WIDTHS:
                await page.set_viewport_size({"width": width, "height": 2600})
                await page.wait_for_timeout(600)  # JupyterLab lays itself out anew
                for name, number in zip(CELLS, range(1, 10), strict=True):
                    output = page.locator(".jp-Cell").nth(number).locator(".jp-OutputArea").first
                    await output.screenshot(path=ARTIFACTS / f"look-{name}-{theme}-{width}.png")
                for what, script in (("contrast", CONTRAST), ("outside", OUTSIDE), ("covered", COVERED)):
                    if found := await page.evaluate(script):
                        trouble[f"{what}, {theme}, {width}"] = found
    finally:
        await page.evaluate(LEFT_AREA)
        await themed(page, "light")
        await page.set_viewport_size({"width": 1280, "height": 1600})
    assert trouble == {}
    assert opened.console_errors == []
