"""Measured figures: how long changes took, how many a second, when none went through, how many states there are.

What may live here: drawings of numbers that were measured elsewhere, in one style. Nothing is measured here.

    figures.latencies({"one round trip": seconds, "two": others})
    figures.throughput(json.load(open("change.json"))["rows"])       # from `python benchmarks/change.py --json`

The style: each series has a line, a marker and a hatch of its own, so it can be told apart without colours; the
colours can be told apart by colour-blind people (after Okabe and Ito, "Color universal design", 2008) and stand out
on white and on black. Lines and words take the colour of the page. Every value that is drawn is in the text too.
"""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import ceil
from typing import Any
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from gryadka.checking.history import Operation, Outcome
from gryadka.views.svg import WIDTH, Picture, shortened

_INK = "#010203"  # stands for the colour of the page's text, until the picture is done
COLOURS = ("#0072b2", "#d55e00", "#009e73", _INK)
FILLS = (*COLOURS[:3], "none")
DASHES = ("-", "--", "-.", ":", (0, (7, 1, 1, 1, 1, 1)), (0, (12, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P")
_POINTS = 400  # so many of a curve are drawn
HATCHES = ("", "//", "--", "xx", "\\\\", "||")
PERCENTILES = (50, 95, 99)

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters stay letters: they can be read aloud, searched, and copied
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 1.0,
    "lines.linewidth": 2.2,
    "hatch.linewidth": 0.8,
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
}


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of these, sorted ones, do not exceed. Raises `ValueError` if there are none."""
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def latencies(series: Mapping[str, Iterable[float]], title: str = "How long a change took") -> Picture:
    """Draw how latencies, in seconds, are spread: for each time, the share of changes that took no longer.

    Markers stand at half of the changes, at 95 and at 99 of 100. Raises `ValueError` for a series without values.
    """
    with rc_context(_STYLE):
        figure, axes = _axes(320)
        lines = []
        for number, (name, values) in enumerate(series.items()):
            ordered_ms = sorted(1000 * value for value in values)
            marks_ms = [percentile(ordered_ms, percent) for percent in PERCENTILES]
            shares = [n / _POINTS for n in range(1, _POINTS + 1)]
            steps_ms = [ordered_ms[ceil(share * len(ordered_ms)) - 1] for share in shares]
            look = _look(number)
            axes.step(steps_ms, shares, where="post", label=name, linestyle=_turned(DASHES, number), **look)
            axes.plot(marks_ms, [n / 100 for n in PERCENTILES], _turned(MARKERS, number), markersize=8, **look)
            told = ", ".join(f"{n} % within {ms:.3g} ms" for n, ms in zip(PERCENTILES, marks_ms, strict=True))
            lines.append(f"{name}: {len(ordered_ms)} changes, {told}, the longest {ordered_ms[-1]:.3g} ms")
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        between = (1, 2, 5) if high < 500 * low else (1,)  # of powers of ten alone there may be just one
        axes.xaxis.set_major_locator(LogLocator(subs=between, numticks=12))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("milliseconds")
        axes.set_ylabel("share of the changes")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        axes.set_ylim(0, 1.02)
        if len(series) > 1:
            axes.legend(loc="lower right")
        return _picture(figure, title, lines)


def throughput(rows: Iterable[Mapping[str, Any]], title: str = "Changes a second") -> Picture:
    """Draw the speeds in the rows of `benchmarks/change.py --json`: a group for each workload, a bar a system.

    Where the rows tell of more than one setting of the servers, each has its own groups.
    """
    speeds: dict[str, dict[str, float]] = {}
    measured = list(rows)
    several = len({row.get("fsync") for row in measured}) > 1
    for row in measured:
        group = f"{row['workload']}, fsync {row['fsync']}" if several else str(row["workload"])
        speeds.setdefault(group, {})[str(row["system"])] = float(row["changes_per_second"])
    return _bars(speeds, title, "changes a second", log=False)


def state_counts(rows: Iterable[Mapping[str, Any]], title: str = "How many states there are") -> Picture:
    """Draw the counts in the rows of `benchmarks/explore.py --json` or `benchmarks/model.py --json`."""
    counts = {str(row.get("scope", row.get("model"))): {"": float(row["distinct"])} for row in rows}
    return _bars(counts, title, "different states, on a scale of powers of ten", log=True)


def availability(
    history: Iterable[Operation],
    *,
    step_s: float = 0.5,
    marks: Mapping[float, str] | None = None,
    title: str = "When changes went through",
) -> Picture:
    """Draw how many operations were answered in each `step_s` seconds, and where there was no answer for longer.

    That is counted from the first answer, or from what failed before it.
    `marks` says what happened when, in seconds of the history's clock, for example {2.0: "A is killed"}. A cross
    stands where operations were begun that failed, or whose outcome is unknown.
    """
    operations = list(history)
    start_s = min((one.invoked_s for one in operations), default=0.0)
    ends_s = (one.completed_s for one in operations if one.outcome is Outcome.OK)
    answers = sorted(end_s - start_s for end_s in ends_s if end_s is not None)
    troubles = sorted(one.invoked_s - start_s for one in operations if one.outcome is not Outcome.OK)
    end_s = max([step_s, *answers[-1:], *troubles[-1:]])
    edges = [step_s * n for n in range(int(end_s / step_s) + 2)]
    counts = _counted(answers, edges)
    first = [at_s for at_s in troubles[:1] if not answers or at_s < answers[0]]
    gaps = [(a, b) for a, b in pairwise([*first, *answers, end_s]) if b - a > step_s]
    happened = sorted((at_s - start_s, what) for at_s, what in (marks or {}).items())
    lines = [f"{len(answers)} operations were answered in {end_s:.3g} s, {len(troubles)} failed or are unknown."]
    lines += [f"At {at_s:.3g} s: {what}." for at_s, what in happened]
    lines += [f"No answer from {a:.3g} s to {b:.3g} s." for a, b in gaps]
    pairs = list(zip(edges, counts, strict=False))
    lines += [f"From {left:g} s to {left + step_s:g} s: {count} answers." for left, count in pairs if left < end_s]
    with rc_context(_STYLE):
        figure, axes = _axes(280)
        crosses = [left + step_s / 2 for left, count in zip(edges, _counted(troubles, edges), strict=False) if count]
        _draw_speeds(axes, edges, [count / step_s for count in counts], gaps)
        _draw_outages(axes, gaps, crosses, happened)
        return _picture(figure, title, lines)


def _draw_speeds(
    axes: Axes, edges: Sequence[float], speeds: Sequence[float], gaps: Sequence[tuple[float, float]]
) -> None:
    # A bar is cut off where a gap begins within its time: nothing stands under "no answer".
    cuts = sorted({*edges, *(at_s for gap in gaps for at_s in gap)})
    middles = [(left + right) / 2 for left, right in pairwise(cuts)]
    cut = [0 if any(a < at_s < b for a, b in gaps) else speeds[bisect_right(edges, at_s) - 1] for at_s in middles]
    axes.stairs(cut, cuts, fill=True, facecolor=COLOURS[0], alpha=0.5)
    axes.stairs(cut, cuts, color=_INK, linewidth=1.4)
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(0, 1.05 * max([1.0, *speeds]))
    axes.set_ylabel("answers a second")


def _draw_outages(
    axes: Axes, gaps: Sequence[tuple[float, float]], crosses: Sequence[float], happened: Sequence[tuple[float, str]]
) -> None:
    for a, b in gaps:
        axes.axvspan(a, b, facecolor="none", edgecolor=_INK, hatch="//", linewidth=0)
    height = 0.04 * axes.get_ylim()[1]
    axes.plot(crosses, [height] * len(crosses), "x", color=COLOURS[1], markersize=9, mew=2.5)
    for number, (at_s, what) in enumerate(happened):
        axes.axvline(at_s, color=_INK, linestyle=":", linewidth=1.4)
        where: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate(what, (at_s, 1), (0, 16 * (number % 2)), va="bottom", ha="center", **where)
    legend = ("; hatched: no answer" if gaps else "") + ("; x: failed or unknown" if crosses else "")
    axes.set_xlabel(f"seconds{legend}")


# -- the style ---------------------------------------------------------------------------------------------


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.grid(axis="x", color=_INK, alpha=0.15)
    return figure, axes


def _look(number: int) -> dict[str, Any]:
    return {"color": _turned(COLOURS, number)}


def _turned(looks: Sequence[Any], number: int) -> Any:
    return looks[number % len(looks)]


def _counted(times_s: Sequence[float], edges: Sequence[float]) -> list[int]:
    places = [bisect_right(times_s, edge) for edge in edges]
    places[0] = 0
    return [after - before for before, after in pairwise(places)]


def _bars(groups: Mapping[str, Mapping[str, float]], title: str, unit: str, *, log: bool) -> Picture:
    kinds = list(dict.fromkeys(kind for group in groups.values() for kind in group))
    bars = [(group, kind, value) for group, members in groups.items() for kind, value in members.items()]
    with rc_context(_STYLE):
        figure, axes = _axes(70 + 22 * len(bars) + 12 * len(groups) + (18 * len(kinds) if len(kinds) > 1 else 0))
        places, y = [], 0.0
        for number, (group, kind, value) in enumerate(bars):
            y += 1 + 0.6 * (number > 0 and group != bars[number - 1][0])
            look = kinds.index(kind)
            name: dict[str, Any] = {} if kind in (one[1] for one in bars[:number]) else {"label": kind}
            axes.barh(
                y,
                value - log,  # powers begin at 1
                0.8,
                log,
                facecolor=_turned(FILLS, look),
                edgecolor=_INK,
                hatch=_turned(HATCHES, look),
                alpha=0.75,
                **name,
            )
            axes.annotate(f"{value:,.0f}", (value, y), (4, 0), textcoords="offset points", va="center")
            places.append((y, group))
        _name_bars(axes, places)
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=6))
            axes.set_xlim(left=1, right=20 * max([10.0, *(value for *_, value in bars)]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(unit)
        if len(kinds) > 1:
            figure.legend(loc="outside upper left", ncols=min(4, len(kinds)))
        lines = [f"{group}{', ' if kind else ''}{kind}: {value:,.0f}" for group, kind, value in bars]
        return _picture(figure, title, lines)


def _name_bars(axes: Axes, places: Sequence[tuple[float, str]]) -> None:
    # A name for each group, at its middle; the first group above.
    groups = {group: [y for y, other in places if other == group] for _, group in places}
    axes.set_yticks([sum(ys) / len(ys) for ys in groups.values()], [shortened(group, 42) for group in groups])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.margins(x=0.12)


_LINK = "{http://www.w3.org/1999/xlink}href"


def _picture(figure: Figure, title: str, lines: Sequence[str]) -> Picture:
    # Only what is drawn is taken over: no style sheet, which would hold for the whole page, and no names but those
    # that the drawing itself refers to.
    file = io.StringIO()
    with rc_context({"svg.hashsalt": "\n".join([title, *lines])}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = re.sub(r"font: (?:(bold) )?([\d.]+)px [^;\"]*", r"font: \1 \2px system-ui, sans-serif", file.getvalue())
    root = ElementTree.fromstring(text.replace(_INK, "currentColor"))
    used = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", text))
    for part in root.iter():
        part.tag = part.tag.rpartition("}")[2]
        if _LINK in part.attrib:
            part.attrib["href"] = part.attrib.pop(_LINK)
        if part.get("id") not in used:
            part.attrib.pop("id", None)
        for child in [child for child in part if child.tag.endswith(("}metadata", "}style"))]:
            part.remove(child)
    body = "".join(ElementTree.tostring(child, encoding="unicode") for child in root)
    height = float(root.attrib["viewBox"].split()[-1])
    drawing = f'<g fill="currentColor" stroke="none" stroke-width="1">{body}</g>'
    return Picture(title, "\n".join(lines) or "Nothing was measured.", drawing, round(height))
