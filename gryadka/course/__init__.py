"""What a lesson needs: checks that explain themselves, and a place for the work that passed them.

from gryadka.course import check, keep, kept

with check("a majority of three is two"):
    assert majority(3) == 2, f"majority(3) gave {majority(3)}"
check.acceptor(prepare, accept)        # explored, simulated; see `gryadka.course.checks`
keep(majority, prepare, accept)
"""

from gryadka.course.checks import check
from gryadka.course.work import keep, kept

__all__ = ["check", "keep", "kept"]
