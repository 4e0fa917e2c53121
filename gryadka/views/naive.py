"""The register of lesson 01 as frames: a schedule that is played, or made by hand, a step for each click.

What may live here: how a run of that register is told, its frames, and what can be chosen beside them. What the
register does stands in `gryadka.checking.naive`, how a run is drawn in `replicas`.
"""

from __future__ import annotations

from collections.abc import Iterable

from gryadka.checking.naive import REPLICAS, Naive, NotPossible, State, Step, listed
from gryadka.views import replicas
from gryadka.views.frames import Choice, Frame
from gryadka.views.player import Player
from gryadka.views.replicas import Row


class Run:
    """A schedule up to its end, or up to the step that cannot happen, which `stop` explains.

    `states` are those before the first step and after each; `rows` tell the steps.
    """

    def __init__(self, naive: Naive, steps: Iterable[Step] = ()) -> None:
        self.naive = naive
        self.steps: list[Step] = []
        self.states: list[State] = [naive.begin()]
        self.rows: list[Row] = []
        self.stop = ""
        for step in steps:
            try:
                self.take(step)
            except NotPossible as error:
                self.stop = str(error)
                break

    @property
    def now(self) -> State:
        """The state after the last step."""
        return self.states[-1]

    @property
    def ending(self) -> str:
        """Say in a sentence what was lost, or what people were told."""
        if lost := self.naive.why(self.now):
            return lost
        told = self.naive.told(self.now)
        parts = [
            f"{who} was told [{listed(told[who])}]" if who in told else f"{who} is not done" for who in self.naive.names
        ]
        return f"nothing is lost: {' and '.join(parts)}"

    def take(self, step: Step) -> None:
        """Go one step on. Raises `NotPossible`."""
        before, after = self.now, self.naive.take(self.now, step)
        self.steps.append(step)
        self.states.append(after)
        holds = tuple(str(replica.copy) for replica in after.replicas)
        remark, changes = _remark(self.naive, before, step, after)
        self.rows.append(Row(str(step), step.where, changes, holds, remark))

    def possible(self) -> list[Step]:
        """Return what can happen next."""
        return [step for step, _ in self.naive.model().successors(self.now)]


def _remark(naive: Naive, before: State, step: Step, after: State) -> tuple[str, bool]:
    who, where = naive.names.index(step.who), REPLICAS.index(step.where)
    if step.verb == "asks":
        copy = naive.sends(after, step.who)
        hears = f"hears {listed(after.replicas[where].copy.items)}"
        return (hears if copy is None else f"{hears}, sends {copy}"), False
    yes = after.people[who].stored > before.people[who].stored
    if step.who in naive.told(after) and step.who not in naive.told(before):
        return f"is told: {listed(naive.told(after)[step.who])}", True
    return ("stored" if yes else "the replica says no"), yes


class HandView:
    """The frames of a schedule, one for each step, with what can happen next. It is a `View`."""

    def __init__(self, naive: Naive, steps: Iterable[Step] = (), title: str = "A schedule by hand") -> None:
        self.title = title
        self._naive = naive
        self._show(Run(naive, steps))

    def __len__(self) -> int:
        return len(self.run.steps) + 1

    def __getitem__(self, number: int) -> Frame:
        return self._frames[number]

    def act(self, act: str, at: int) -> tuple[int, int]:
        """Take a step at frame `at`; what came after it is forgotten. Returns the first new frame, and where to look.

        Raises `NotPossible`, and `ValueError` for a frame or an act that there is not.
        """
        if not 0 <= at < len(self):
            raise ValueError(f"there is no frame {at}")
        words = act.split()
        if len(words) != 3:
            raise ValueError(f"{act!r} is no step")
        run = Run(self._naive, self.run.steps[:at])
        run.take(Step(*words))
        self._show(run)
        return at + 1, at + 1

    def _show(self, run: Run) -> None:
        self.run = run
        self._frames = [self._frame(number) for number in range(len(run.steps) + 1)]

    def _frame(self, number: int) -> Frame:
        run = Run(self._naive, self.run.steps[:number])
        told = f"{run.rows[-1].step}: {run.rows[-1].remark}." if run.rows else "Nothing has happened yet."
        lost = run.naive.why(run.now)
        note = f"Lost: {lost}." if lost else ""
        choices = [Choice(str(step), "What may happen next", str(step), "Let it happen") for step in run.possible()]
        title = f"{self.title}: after {number} steps"
        return replicas.frame(run.rows, REPLICAS, title, " ".join(filter(None, [told, note])), note, choices)


class Hand(Player):
    """A schedule by hand, in the player. `do("Ann asks A")` does what a click does."""

    def __init__(self, naive: Naive, steps: Iterable[Step] = ()) -> None:
        self._hand = HandView(naive, steps)
        super().__init__(self._hand, at=len(self._hand) - 1, act=self._hand.act)

    def do(self, *acts: str) -> None:
        """Take these steps at the end. Raises `NotPossible` for one that cannot happen then."""
        for act in acts:
            start, at = self._hand.act(act, len(self._hand) - 1)
            self.update(start, at=at)

    @property
    def schedule(self) -> str:
        """The schedule so far, a step a line."""
        return "\n".join(map(str, self._hand.run.steps))
