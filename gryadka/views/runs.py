"""Runs of the simulator behind a few controls: scenario, seed, how much is lost, how many servers may fail, and speed.

What may live here: those controls, and a new run whenever one of them moves. How a run is made is up to
`gryadka.simulation.run`; how it is shown, to `cluster` and `player`.

A control may speak up on a thread of its own. What follows is posted to the main event loop, where the run is made;
controls that move while one is being made lead to one more run, not to many.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from html import escape
from typing import Any

import ipywidgets

from gryadka.simulation.link import link
from gryadka.simulation.run import Result, scenario_named, simulate
from gryadka.simulation.scenarios import SCENARIOS, Scenario
from gryadka.trace import Trace
from gryadka.views.cluster import ClusterView
from gryadka.views.player import SPEEDS, Player

OPERATIONS = 4
"""How many operations each client makes: few enough to look at each."""

_SLIM = {"style": {"description_width": "initial"}, "layout": {"width": "auto"}}
_GRID = {"display": "grid", "grid_template_columns": "repeat(auto-fit, minmax(260px, 1fr))"}


class Runs:
    """Shows the run of a scenario and a seed, and another one as soon as a control is moved.

    Read only: `result` is the run that is shown, `player` shows it, `controls` are scenario, seed, loss, f (of
    2F + 1 acceptors, F may fail), and speed, in steps a second. Raises `ConfigurationError` for a name that is no
    scenario's.
    """

    def __init__(self, scenario: str = "loss-2-2-2", seed: int = 0) -> None:
        chosen = scenario_named(scenario)
        self.controls: dict[str, Any] = {
            "scenario": ipywidgets.Dropdown(options=list(SCENARIOS), value=scenario, description="Scenario", **_SLIM),
            "seed": ipywidgets.BoundedIntText(value=seed, min=0, max=10**9, description="Seed", **_SLIM),
            # Not sliders: those of ipywidgets have no name that a screen reader could tell.
            "loss": ipywidgets.BoundedFloatText(
                value=chosen.weather.loss, min=0, max=0.5, step=0.01, description="Lost, of each packet", **_SLIM
            ),
            "f": ipywidgets.Dropdown(options=range(4), value=1, description="F, servers that may fail", **_SLIM),
            "speed": ipywidgets.Dropdown(
                options=[(f"{speed:g}", speed) for speed in SPEEDS],
                value=2,
                description="Speed, steps a second",
                **_SLIM,
            ),
        }
        self._told = ipywidgets.HTML()
        self._waiting = False
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:  # no notebook
            self._loop = None
        self.result = self._run()
        self.player = Player(self._view())
        self._tell()
        moved = {"scenario": self._scenario_moved, "speed": self._speed_moved}
        for name, control in self.controls.items():
            control.observe(moved.get(name, self._moved), "value")
        self.player.observe(self._speed_moved, "speed")

    @property
    def scenario(self) -> Scenario:
        """The scenario that the controls describe."""
        known, weather = SCENARIOS[self.controls["scenario"].value], self.controls["loss"].value
        acceptors = 2 * self.controls["f"].value + 1
        return replace(
            known, steps=OPERATIONS, acceptors=acceptors, weather=replace(known.weather, loss=round(weather, 2))
        )

    @property
    def trace(self) -> Trace:
        """The run that is shown, with a link to make it again."""
        return Trace(self.result.events, source=link(self.result))

    def _run(self) -> Result:
        return simulate(self.scenario, self.controls["seed"].value)

    def _view(self) -> ClusterView:
        return ClusterView(Trace(self.result.events), title=f"{self.result.scenario.name}, seed {self.result.seed}")

    # -- when a control moves ------------------------------------------------------------------------------

    def _scenario_moved(self, change: dict[str, Any]) -> None:
        self._post(lambda: self._set_loss(change["new"]))

    def _set_loss(self, name: str) -> None:
        self.controls["loss"].value = SCENARIOS[name].weather.loss
        self._moved(None)

    def _speed_moved(self, change: dict[str, Any]) -> None:
        # The player has a control of its own, and keys: each follows the other.
        self._post(lambda: self._set_speed(change["new"]))

    def _set_speed(self, speed: float) -> None:
        self.player.speed = self.controls["speed"].value = speed

    def _moved(self, _: object) -> None:
        if not self._waiting:
            self._waiting = True
            self._post(self._again)

    def _post(self, work: Any) -> None:
        if self._loop is None or self._loop.is_closed():
            work()
        else:
            self._loop.call_soon_threadsafe(work)

    def _again(self) -> None:
        self._waiting = False
        try:
            self.result = self._run()
        except Exception as error:  # nobody would see it in a notebook
            self._told.value = f"<strong>{escape(f'{type(error).__name__}: {error}')}</strong>"
            return
        self.player.view = self._view()
        self.player.title = self.player.view.title
        self.player.update(0, at=0)
        self._tell()

    # -- showing -------------------------------------------------------------------------------------------

    def in_words(self) -> str:
        """Say which run is shown, and how it was judged."""
        result, scenario = self.result, self.result.scenario
        counts = ", ".join(f"{number} {how}" for how, number in result.counts.items() if number)
        return (
            f"{scenario.name}, seed {result.seed}: {scenario.about}. {scenario.acceptors} acceptors; "
            f"{scenario.weather.loss:.0%} of packets lost. Operations: {counts or 'none'}. {result.verdict}"
        )

    def _tell(self) -> None:
        self._told.value = f'<div role="status" data-testid="verdict">{escape(self.in_words())}</div>'

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        grid = ipywidgets.Box(list(self.controls.values()), layout=_GRID)
        shown = ipywidgets.VBox([grid, self._told, self.player])._repr_mimebundle_()
        static, _metadata = self.player._repr_mimebundle_()
        text = f"{self.in_words()}\n{self.player.in_words()}"
        return {**static, **shown, "text/plain": text}
