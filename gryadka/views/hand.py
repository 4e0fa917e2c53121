"""Be the network: a cluster in which each message waits for a click, as a view that grows with every act.

What may live here: which choices stand beside the picture, and going back. What an act does is up to
`gryadka.simulation.manual`; how a moment looks, to `cluster`.

Frame 0 shows the beginning, and frame n what follows from the first n acts. Whoever goes back and does something
else there begins a new branch; the one that was left is kept, and can be gone back to.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO

from gryadka.checking.history import History
from gryadka.checking.linearizability import Unknown, Verdict, Violation
from gryadka.simulation.manual import KINDS, ManualCluster, Waiting
from gryadka.trace import Event, Trace
from gryadka.views import wording
from gryadka.views.cluster import Layout, draw
from gryadka.views.frames import Choice, Frame
from gryadka.views.player import Player
from gryadka.views.scene import Packet, Scene
from gryadka.views.svg import shortened

MOST_PRINTED = 400
"""So many characters of what a rule prints are told."""

_ROWS = 4
_KEYS = "abcef"  # d, like w, is the player's own
_FAULTS = {
    "crash": ("Crash", "k"),
    "pause": ("Let it stand still", "s"),
    "resume": ("Let it go on", "s"),
    "restart": ("Bring back", "r"),
    "forget": ("Bring back without its memory", "n"),
}


class HandView:
    """The frames of a cluster by hand, one for each act. It is a `View`. Read only: `cluster`, `branches`."""

    def __init__(self, cluster: ManualCluster) -> None:
        self.title = "A cluster whose network is you"
        self.branches: list[list[str]] = []
        self.cluster = cluster
        self._replay(cluster.acts)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Frame:
        return self._frames[number]

    def act(self, act: str, at: int) -> tuple[int, int]:
        """Do something at frame `at`. Returns the first frame that is new, and the frame to look at.

        Raises `ValueError` if it cannot be done there.
        """
        if not 0 <= at < len(self):
            raise ValueError(f"there is no frame {at}")
        if act.startswith("branch "):
            return self._go_to_branch(act.removeprefix("branch "))
        if at < len(self) - 1:
            self._fork(act, at)
        else:
            self._do(act)
        return at + 1, at + 1

    # -- branches ----------------------------------------------------------------------------------------

    def _fork(self, act: str, at: int) -> None:
        left = list(self.cluster.acts)
        if act == left[at]:  # the same as then: it is there already
            return
        self._replay(left[:at])
        if act in self.cluster.possible():
            self.branches.append(left)
            self._do(act)
        else:
            self._replay(left)
            raise ValueError(f"{act!r} cannot be done at frame {at}")

    def _go_to_branch(self, number: str) -> tuple[int, int]:
        if not number.isdecimal() or not 0 < int(number) <= len(self.branches):
            raise ValueError(f"there is no branch {number}")
        left, wanted = list(self.cluster.acts), self.branches[int(number) - 1]
        self.branches[int(number) - 1] = left
        self._replay(wanted)
        same = next((place for place, both in enumerate(zip(left, wanted, strict=False)) if both[0] != both[1]), 0)
        return same + 1, len(self) - 1

    def _replay(self, acts: list[str]) -> None:
        fresh = self.cluster.back_to(0)
        self.cluster.close()
        self.cluster = fresh
        names = [fresh.node(host) for host in fresh.hosts], fresh.names
        self._scene = Scene(*names, quorum=len(fresh.names) // 2 + 1)
        self._layout = Layout.of(*names, (_ROWS, _ROWS))
        self._frames: list[Frame] = []
        self._draw("Nothing has happened yet. Let a proposer begin a change.", [])
        for act in acts:
            self._do(act)

    # -- frames ------------------------------------------------------------------------------------------

    def _do(self, act: str) -> None:
        cluster, before = self.cluster, len(self.cluster.events)
        if act not in cluster.possible():
            raise ValueError(f"{act!r} cannot be done now")
        printed, trouble = StringIO(), ""
        try:
            with redirect_stdout(printed):  # after a click it would be shown nowhere
                cluster.do(act)
        except Exception as error:  # a learner's own rule
            trouble = f"{type(error).__name__}: {error}."
        told = ["A second passes."] if act == "wait" else []
        told += filter(None, [trouble, _quoted(printed.getvalue())])
        self._draw(" ".join(told), cluster.events[before:])

    def _draw(self, told: str, events: list[Event]) -> None:
        self._seat()
        told = " ".join(filter(None, [told, self._scene.step(events)]))
        verdict = _judged(self.cluster.verdict)
        if any(event.kind == "change-ended" for event in events):
            told += f" {verdict}"
        below = f"{self.cluster.now_s:.3f} s. {verdict}"
        title = f"{self.title}: after {len(self.cluster.acts)} acts"
        frame = draw(self._scene, self._layout, told, title, below=below, choices=self._choices())
        self._frames.append(frame)

    def _seat(self) -> None:
        # A proposer that was started again has a new name, and its predecessor's place.
        names = [self.cluster.node(host) for host in self.cluster.hosts]
        self._scene.seat(names)
        self._layout = replace(self._layout, proposers=dict(zip(names, self._layout.proposers.values(), strict=True)))

    def _choices(self) -> list[Choice]:
        cluster, possible = self.cluster, self.cluster.possible()
        choices = self._messages()
        for number, host in enumerate(cluster.hosts):
            node, verb = cluster.node(host), KINDS[cluster.setting.kind]
            thing, on = wording.node(node), f"node {node}"
            labels = {
                f"{verb} {host}": (f"Begin: {verb}", _KEYS[number]),
                f"read {host}": ("Begin: read", "v"),
                f"crash {host}": ("Crash", "k"),
                f"restart {host}": ("Start a new one here", "r"),
            }
            for act in [act for act in possible if act in labels]:
                choices.append(Choice(act, "Proposers", thing, labels[act][0], on, labels[act][1]))
        for act in possible:
            verb, *rest = act.split()
            if verb in _FAULTS and rest[0] in cluster.names:
                label, key = _FAULTS[verb]
                choices.append(Choice(act, "Acceptors", rest[0], label, f"node {rest[0]}", key))
        choices.append(Choice("wait", "Time", "the clock", "Let a second pass", key="t"))
        for act in possible:
            verb, *rest = act.split()
            if verb in ("cut", "heal"):
                thing = f"between {wording.node(cluster.node(rest[0]))} and {rest[1]}"
                choices.append(Choice(act, "Network", thing, verb.capitalize()))
        for number, acts in enumerate(self.branches, start=1):
            choices.append(Choice(f"branch {number}", "Branches", f"branch {number}: {len(acts)} acts", "Go there"))
        return choices

    def _messages(self) -> list[Choice]:
        # The scene has the same messages as the cluster; those that are alike are in the same order.
        places: dict[tuple[object, ...], list[Packet]] = {}
        for packet in self._scene.packets:
            if not packet.lost:
                places.setdefault(packet.leg, []).append(packet)
        choices, possible = [], self.cluster.possible()
        for waiting in self.cluster.waiting:
            leg = waiting.proposer, waiting.acceptor, waiting.message, waiting.back
            packet = places[leg].pop(0)
            thing = _named(waiting, packet)
            # Where it cannot be delivered, a click must not lose it.
            on = f"packet {packet.number}" if f"deliver {waiting.number}" in possible else ""
            for verb, label, key in (
                ("deliver", "Deliver", ""),
                ("lose", "Lose", "x"),
                ("duplicate", "Duplicate", "y"),
            ):
                act = f"{verb} {waiting.number}"
                if act in possible:
                    choices.append(Choice(act, "Messages", thing, label, on, key))
        return choices


def _named(waiting: Waiting, packet: Packet) -> str:
    proposer = wording.node(waiting.proposer)
    if packet.reply is not None:
        return f"{waiting.acceptor} to {proposer}: {wording.reply(packet.reply)}"
    return f"{proposer} to {waiting.acceptor}: {wording.message(waiting.message)}"


def _quoted(printed: str) -> str:
    lines = " / ".join(printed.split("\n")).strip(" /")
    return f"Your rule prints: {shortened(lines, MOST_PRINTED)}." if lines else ""


def _judged(verdict: Verdict) -> str:
    if isinstance(verdict, Violation):
        return f"Not linearizable: {str(verdict).splitlines()[0].removeprefix('violation: ')}"
    return "So far: undecided." if isinstance(verdict, Unknown) else "So far: linearizable."


class Hand(Player):
    """The player of a cluster by hand. `do("append P1")` does from Python what a click does.

    Raises `ValueError` if one of the acts `do` cannot be done at its time.
    """

    def __init__(self, cluster: ManualCluster, *, do: Iterable[str] = (), demo: bool = False) -> None:
        self._hand = HandView(cluster)
        for act in do:
            self._hand.act(act, len(self._hand) - 1)
        super().__init__(self._hand, at=len(self._hand) - 1, demo=demo, act=self._hand.act)

    def do(self, *acts: str) -> None:
        """Do these acts, one after the other, at the end. Raises `ValueError` for one that cannot be done then."""
        for act in acts:
            start, at = self._hand.act(act, len(self._hand) - 1)
            self.update(start, at=at)

    @property
    def trace(self) -> Trace:
        """What happened on the present branch: an ordinary trace, with a link to do it again."""
        return self._hand.cluster.trace

    @property
    def history(self) -> History:
        """What the clients asked for and got."""
        return self._hand.cluster.history

    @property
    def verdict(self) -> Verdict:
        """Whether that history is linearizable."""
        return self._hand.cluster.verdict

    @property
    def acts(self) -> list[str]:
        """What was done, on the present branch."""
        return list(self._hand.cluster.acts)

    @property
    def possible(self) -> list[str]:
        """What can be done next."""
        return self._hand.cluster.possible()
