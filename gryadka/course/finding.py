"""What a check found out about a piece of work."""

from __future__ import annotations

from dataclasses import dataclass

from gryadka.trace import Event


@dataclass(frozen=True)
class Finding:
    """What is to be said of a learner's work.

    `why` says in a sentence what is wrong; it is empty if nothing is. `covered` says what was tried, if nothing
    is wrong. `steps` tell the shortest run that shows the fault, and `events` are the same run as a trace.
    """

    why: str = ""
    covered: str = ""
    steps: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.why
