"""Every error that Gryadka raises, told apart by whose fault it is and by what may be believed afterwards.

| error | was the change applied? | what to do |
|---|---|---|
| `ChangeRejected` | no: the function refused | look at `.value`, decide anew |
| `NotApplied` | certainly not | repeat it when you like |
| `OutcomeUnknown` | perhaps, now or later | read the key by a change to itself, then decide |
| `ConfigurationError` | nothing was sent | mend the call or the cluster |
| `AcceptorError` | one server's fault | see to that server; the others go on |
"""

from __future__ import annotations

from collections.abc import Iterable


class GryadkaError(Exception):
    """The base of all errors below."""


class ChangeRejected(GryadkaError):
    """Raise this inside a change function to refuse; the caller of `change` gets it back.

    `value` is the value that the function saw. It is set by the proposer, once that value is chosen,
    so a refusal is as good as a read.
    """

    def __init__(self, message: str = "the change function refused", value: object = None) -> None:
        super().__init__(message)
        self.value = value


class NotApplied(GryadkaError):
    """The change certainly had no effect and never will: it is safe to repeat."""


class OutcomeUnknown(GryadkaError):
    """The change may have been applied, or may be later: settle that before you repeat.

    A change to itself settles it, `change(key, lambda value: value)`: what that did not see can never come any more.
    After `Proposer.read`, which writes nothing, it still can.
    """


class ConfigurationError(GryadkaError):
    """The cluster, the quorums or the call cannot work as they are; nothing was sent."""


UNREADABLE = (ValueError, TypeError, AttributeError, RecursionError)
"""What reading a register may raise that holds what no proposer stored."""


def unreadable(key: str, why: Exception) -> ConfigurationError:
    """Return the error for a register that holds what no proposer stored there."""
    return ConfigurationError(f"the register of {key!r} holds what no proposer stored; mend or remove it ({why})")


class QuorumsMiss(ConfigurationError):
    """A prepare quorum and an accept quorum share no acceptor. `prepare` and `accept` hold their names.

    `context` is told before the two; `advice` after them.
    """

    def __init__(
        self,
        prepare: Iterable[str],
        accept: Iterable[str],
        context: str = "",
        advice: str = "what one chooses the other would never see; enlarge either",
    ) -> None:
        self.prepare, self.accept = tuple(sorted(prepare)), tuple(sorted(accept))
        sets = (f"{{{', '.join(names)}}}" for names in (self.prepare, self.accept))
        super().__init__(
            "{}the prepare quorum {} and the accept quorum {} miss each other: {}".format(context, *sets, advice)
        )


class AcceptorError(GryadkaError):
    """One acceptor could not answer. `acceptor` is its name, `reason` says why and what to change."""

    def __init__(self, acceptor: str, reason: str) -> None:
        super().__init__(f"{acceptor}: {reason}")
        self.acceptor = acceptor
        self.reason = reason
