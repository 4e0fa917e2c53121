"""A learner's functions as rules: they are asked like ours, and what they do wrong becomes a sentence.

What may live here: guards. A guard calls a learner's function, catches what it raises, and looks at the shape
of what it returns. It calls twice and compares, because a function that keeps something to itself, or draws
lots, could not be explored: the model works every answer out only once. A call may take `CALL_LIMIT_S` (see
`limits` for what that cannot stop); an interrupt reaches `explore`, which ends with the counts.

    for explored in explore_functions(prepare=my_prepare, accept=my_accept):
        print(explored.verdict)
"""

from __future__ import annotations

import inspect
import random
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from gryadka.checking.explore import NO_LIMIT, Budget, Exhausted, Progress, Verdict, explore
from gryadka.checking.limits import TimeUp, time_limit
from gryadka.checking.model import Caspaxos, Label
from gryadka.checking.numbered import Numbers
from gryadka.checking.rules import Broken, Rules, Scope
from gryadka.protocol.acceptor import (
    Accept,
    Accepted,
    Ballot,
    Conflict,
    Prepare,
    Promise,
    Reply,
    State,
)

PrepareFunction = Callable[[State, Prepare], tuple[State, Reply]]
AcceptFunction = Callable[[State, Accept], tuple[State, Reply]]
ChooseFunction = Callable[[Sequence[Promise]], Promise]

CALL_LIMIT_S = 2.0
MORE_CALLS = 30  # of a function that draws lots
QUESTIONS_KEPT = 10_000

SCOPES = (Scope(), Scope(ballots=3, cache=True, changes=(("append", "append"), ("append",))))
"""Enough to catch whatever the zoo knows of wrong acceptors and wrong choices: retries, and one round trip."""


class LearnersRules(Rules):
    """The right rules, except for the functions that are given. They raise `Broken` and nothing else."""

    def __init__(
        self,
        scope: Scope,
        prepare: PrepareFunction | None = None,
        accept: AcceptFunction | None = None,
        choose: ChooseFunction | None = None,
    ) -> None:
        super().__init__(scope)
        self._prepare = prepare or super().prepare
        self._accept = accept or super().accept
        self._choose = choose or super().choose
        self._said: dict[tuple[str, str], tuple[Callable[..., Any], tuple[Any, ...], str]] = {}

    def prepare(self, state: State, message: Prepare) -> tuple[State, Reply]:
        """Ask the learner's `prepare`."""
        answer = self._ask("prepare", self._prepare, state, message)
        return _pair(answer, "prepare", Promise)

    def accept(self, state: State, message: Accept) -> tuple[State, Reply]:
        """Ask the learner's `accept`."""
        answer = self._ask("accept", self._accept, state, message)
        return _pair(answer, "accept", Accepted)

    def choose(self, promises: Iterable[Promise]) -> Promise:
        """Ask the learner's `choose`."""
        promises = list(promises)
        chosen = self._ask("choose", self._choose, promises)
        if not isinstance(chosen, Promise) or chosen not in promises:
            raise Broken(f"choose returned {chosen!r}, which is none of the promises it was given: {_told(promises)}")
        return chosen

    def ask_again(self) -> str:
        """Put every question once more, and say in a sentence where an answer has changed; "" if none has."""
        for (role, _), (function, arguments, said) in self._said.items():
            try:
                now = repr(ask(function, *arguments))
            except Broken as error:
                return str(error)
            if now != said:
                return (
                    f"{role} was asked the same once more, later, and said {now} after {said}: it keeps something "
                    f"between its calls (it was given {_told(arguments)})"
                )
        return ""

    def _ask(self, role: str, function: Callable[..., Any], *arguments: Any) -> Any:
        answer = ask(function, *arguments)
        if len(self._said) < QUESTIONS_KEPT:
            self._said.setdefault((role, repr(arguments)), (function, arguments, repr(answer)))
        return answer


class Explored(NamedTuple):
    """One scope, explored: `model` reads the verdict's states (see `explain`)."""

    model: Caspaxos
    verdict: Verdict[Numbers, Label]

    def ask_again(self) -> str:
        """Say in a sentence which of the learner's answers would be another one now; "" if none would."""
        rules = self.model.steps.rules
        return rules.ask_again() if isinstance(rules, LearnersRules) else ""


def explore_functions(
    prepare: PrepareFunction | None = None,
    accept: AcceptFunction | None = None,
    choose: ChooseFunction | None = None,
    *,
    scopes: Sequence[Scope] = SCOPES,
    budget: Budget = NO_LIMIT,
    progress: Callable[[Progress], None] | None = None,
) -> list[Explored]:
    """Explore the protocol with these functions in place of ours, scope by scope, up to the first fault.

    `budget` is for each scope. The last verdict is `Exhausted` exactly if nothing is wrong in any scope. A
    function that gives ever new answers makes the states endless, so set a budget for what is not known.
    """
    done: list[Explored] = []
    for scope in scopes:
        model = Caspaxos(scope, LearnersRules(scope, prepare, accept, choose))
        done.append(Explored(model, explore(model.model(), budget=budget, progress=progress)))
        if not isinstance(done[-1].verdict, Exhausted):
            break
    return done


def ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a learner's function twice, and return its answer. Raises `Broken`, with a sentence, and nothing else."""
    name = getattr(function, "__name__", "the function")
    given = _told(arguments)
    try:
        with time_limit(2 * CALL_LIMIT_S):
            lots = random.getstate()
            answers = [function(*arguments) for _ in range(2)]
            if random.getstate() != lots:
                answers += [function(*arguments) for _ in range(MORE_CALLS)]
            said = list(map(repr, answers))
    except TimeUp:
        raise Broken(f"{name} has not returned after {CALL_LIMIT_S:g} s: a loop without end? (given {given})") from None
    except NotImplementedError as error:
        raise Broken(f"{name} is still unfinished") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit and GeneratorExit are no end of ours
        raise Broken(f"{name} raised {told_error(error)} (it was given {given})") from error
    if nothing := list(filter(None, (no_answer(name, answer) for answer in answers))):
        raise Broken(nothing[0])
    if _told(arguments) != given:
        raise Broken(f"{name} changed what it was given: {given} became {_told(arguments)}")
    if other := [each for each in said if each != said[0]]:
        raise Broken(f"{name} was asked the same twice, and said {said[0]} and then {other[0]} (it was given {given})")
    return answers[0]


def no_answer(name: str, answer: object) -> str:
    """Say in a sentence how it comes that the function called `name` gave no answer yet; "" if it gave one."""
    if inspect.iscoroutine(answer):
        answer.close()  # or Python complains that nobody has awaited it
        return f"{name} is async; it has to be a plain function: def, not async def"
    return f"{name} uses yield; it has to return its answer" if inspect.isgenerator(answer) else ""


def told_error(error: BaseException) -> str:
    """Say what a learner's function raised, and in which of its lines, if it was in one and not in the call itself."""
    said = f"{type(error).__name__}{': ' if str(error) else ''}{error}"
    if isinstance(error, AttributeError) and "can't set attribute" in str(error):
        said += "; nothing that it is given can be changed, so make a new one, as state._replace(promised=...) does"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    if not frames:
        return said
    theirs = [frame for frame in frames if frame.filename == frames[0].filename]
    return f"{said}, in line {theirs[-1].lineno}, `{theirs[-1].line}`"


def _pair(answer: Any, name: str, yes: type[Promise | Accepted]) -> tuple[State, Reply]:
    if type(answer) is not tuple or len(answer) != 2:  # a reply is a kind of tuple, too
        raise Broken(f"{name} returned {answer!r}; it has to return two things, the state and the reply")
    after, reply = answer
    for given, wanted in ((after, (State,)), (reply, (yes, Conflict))):
        if type(given).__name__ in [kind.__name__ for kind in wanted] and not isinstance(given, wanted):
            kind = type(given).__name__
            raise Broken(f"{name} returned a {kind} of another class; use the {kind} that was imported at first")
    if not isinstance(after, State):
        raise Broken(f"{name} returned {after!r} where the State belongs (first the state, then the reply)")
    if not isinstance(reply, yes | Conflict):
        raise Broken(f"{name} replied {reply!r}; it has to be {yes.__name__} or Conflict")
    for part in (after, reply):
        for field, value in part._asdict().items():
            if not _fits(field, value):
                raise Broken(f"{name} returned {part!r}, but {field} cannot be {value!r}")
    return after, reply


def _fits(field: str, value: object) -> bool:
    if field == "value":
        return value is None or isinstance(value, str)
    return isinstance(value, Ballot) and all(type(part) is int for part in value)  # True is an int, too


def _told(arguments: Sequence[Any]) -> str:
    return ", ".join(map(repr, arguments))
