"""The checks that lessons call: `check("...")` for plain asserts, and one method for each kind of work.

    from gryadka.course import check

    with check("a majority of three is two"):
        assert majority(3) == 2

What may live here: for each kind of work one method, which says what must hold and calls the function that finds
out. Such a function takes the work and returns a `Finding`; it stands in a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from gryadka.course.checking import Checks, Result, why
from gryadka.course.finding import Finding


class LearnersChecks(Checks):
    """Checks of whole pieces of work. `finding` is what the last one found out: `finding.events` can be played."""

    def __init__(self) -> None:
        super().__init__()
        self.finding = Finding()

    def tell(self, sentence: str, examine: Callable[[], Finding]) -> None:
        """Show what `examine` finds out about what `sentence` says. It raises nothing but an interrupt.

        What `examine` raises is told as a fault of the work: `Unfinished` and assertions as in a block.
        """
        try:
            found = examine()
        except KeyboardInterrupt:
            self.show(sentence, Finding(why="it was interrupted"))
            raise
        except Exception as error:
            found = Finding(why=why(error))
        self.show(sentence, found)

    def show(self, sentence: str, finding: Finding) -> None:
        """Remember a finding, and show it."""
        self.finding = finding
        self.record(Result(sentence, finding.holds, finding.why, finding.covered, finding.steps))


check = LearnersChecks()
"""The one that all lessons share."""
