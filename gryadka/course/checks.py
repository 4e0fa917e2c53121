"""The checks that lessons call: `check("...")` for plain asserts, and one method for each kind of work.

    from gryadka.course import check

    with check("a majority of three is two"):
        assert majority(3) == 2

What may live here: for each kind of work one method, which says what must hold and calls the function that finds
out. Such a function takes the work and returns a `Finding`; it stands in a module of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gryadka.acceptors.servers import LocalCluster
from gryadka.checking.learner import AcceptFunction, ChooseFunction, PrepareFunction
from gryadka.checking.limits import quiet
from gryadka.course import examine, forgetting, invariants, judges, lock, lua, plans, proposers, retries, schedules
from gryadka.course.checking import Checks, Result, show_line, why
from gryadka.course.finding import Finding
from gryadka.course.invariants import MUTANTS, Invariant
from gryadka.proposer import Proposer
from gryadka.protocol import acceptor as own


class Interrupted(KeyboardInterrupt):
    """An interrupt that a check has told of already. It goes on, so that the cells that wait do not run."""

    def _render_traceback_(self) -> list[str]:
        return ["The check was interrupted. The kernel can be used as before."]


class LearnersChecks(Checks):
    """Checks of whole pieces of work. `finding` is what the last one found out: `finding.events` can be played."""

    def __init__(self) -> None:
        super().__init__()
        self.finding = Finding()

    def tell(self, sentence: str, find: Callable[[], Finding]) -> None:
        """Show what `find` finds out about what `sentence` says. It raises nothing but an interrupt.

        What `find` raises is told as a fault of the work: `Unfinished` and assertions as in a block.
        """
        try:
            with quiet() as printed:
                found = find()
        except KeyboardInterrupt:
            self.show(sentence, Finding(why="it was interrupted"))
            raise Interrupted from None
        except BaseException as error:  # code that calls exit() must not end the check without a word
            found = Finding(why=why(error))
        self.show(sentence, found)
        if printed.characters:
            show_line(f"Your code printed {printed.characters:,} characters meanwhile; they are not shown.")

    def show(self, sentence: str, finding: Finding) -> None:
        """Remember a finding, and show it."""
        self.finding = finding
        self.record(Result(sentence, finding.holds, finding.why, finding.covered, finding.steps))

    def acceptor(self, prepare: PrepareFunction = own.prepare, accept: AcceptFunction = own.accept) -> None:
        """Check an acceptor's two rules, in every schedule; the course's own stand in for what is left out."""
        self.tell(
            "the acceptor keeps its promises, and nothing that was acknowledged is lost, whatever the network does",
            lambda: examine.acceptor(prepare, accept),
        )

    def choose(self, choose: ChooseFunction) -> None:
        """Check the rule that picks, from a quorum's promises, the one that a change starts from."""
        self.tell(
            "each change starts from what was acknowledged last, whichever quorum answers",
            lambda: examine.choose(choose),
        )

    def schedule(self, schedule: schedules.Plan) -> None:
        """Check a schedule of lesson 01 (see `gryadka.checking.naive`)."""
        self.tell("your schedule makes the list lose something", lambda: schedules.judge(schedule))

    async def lua(self, script: str, cluster: LocalCluster) -> None:
        """Check an `accept` written in Lua, on the first server of `cluster`, against the pure function."""
        sentence = "the script answers and stores what the pure function does"
        try:
            found = await lua.examine(cluster, script)
        except (KeyboardInterrupt, asyncio.CancelledError):  # a notebook cancels a cell that awaits
            self.show(sentence, Finding(why="it was interrupted"))
            raise
        except Exception as error:
            found = Finding(why(error))
        self.show(sentence, found)

    def proposer(self, proposer: Callable[..., Proposer]) -> None:
        """Check what makes a proposer, such as a subclass of `Proposer`, by the histories of its clients."""
        self.tell(
            "whatever clients see, the register did one change after the other, and each once",
            lambda: proposers.examine(proposer),
        )

    def invariant(self, invariant: Invariant, mutants: Sequence[str] = MUTANTS) -> None:
        """Check that a predicate holds in every state of the right protocol, and fails for each of `mutants`."""
        self.tell(
            "the invariant holds wherever the right protocol can get, and fails for each of the wrong ones",
            lambda: invariants.examine(invariant, mutants),
        )

    def retry(self, deposit: retries.Deposit) -> None:
        """Check a retry loop of lesson 05 (see `gryadka.course.retries`)."""
        self.tell("whatever the network does, each deposit is in the box once", lambda: retries.judge(deposit))

    def plan(self, plan: str | Sequence[str]) -> None:
        """Check a plan of lesson 09 (see `gryadka.course.plans`)."""
        self.tell("C is replaced by D, and nothing is lost on the way", lambda: plans.judge(plan))

    def forgetting(self, may_collect: forgetting.MayCollect, forget: forgetting.Forget) -> None:
        """Check the guards of a collection of lesson 10 (see `gryadka.course.forgetting`)."""
        sentence = "a deleted record is forgotten everywhere; nothing deleted comes back, and nothing else is lost"
        self.tell(sentence, lambda: forgetting.judge(may_collect, forget))

    def history(self, linearizable: judges.Checker) -> None:
        """Check a linearizability checker of lesson 06 (see `gryadka.course.judges`)."""
        self.tell("it knows which histories one register can explain", lambda: judges.judge(linearizable))

    def lock(self, acquire: lock.Acquire, release: lock.Release) -> None:
        """Check a lock of lesson 12 (see `gryadka.course.lock`)."""
        self.tell(
            "whatever the network does, one at a time has the lock, and each time the token is larger",
            lambda: lock.judge(acquire, release),
        )


check = LearnersChecks()
"""The one that all lessons share."""
