"""A read that writes nothing, in one round trip, if the acceptors agree: what is behind `Proposer.read`.

Every acceptor shows its state. The value under the highest accepted ballot is the register's current one if

- a *prepare* quorum has answered: it meets every accept quorum, so nothing that was chosen before is higher; and
- an *accept* quorum shows that very ballot: so it is chosen, and every later round builds on it.

With majorities the second follows from the first as soon as they agree; with other quorums both are needed,
because two accept quorums need not meet. If a prepare quorum shows nothing at all, nothing was chosen. Who shows
nothing, but has promised more than the highest ballot shown, may have forgotten something newer.

If no further answer can bring that about, somebody's change is under way, or was left half done, and only
another change can tell: the identity change finishes it. CASPaxos itself reads by that change alone
(section 2.2); the idea is that of Charapko, Ailijani, Demirbas, "Linearizable Quorum Reads in Paxos" (2019).
The explorer covers this rule and its wrong variants: `gryadka.checking.deletion`.
"""

from __future__ import annotations

from gryadka.protocol.acceptor import ZERO, Ballot, Read, State
from gryadka.protocol.configuration import Configuration, Quorum
from gryadka.protocol.round import Round, Status


class QuorumRead(Round):
    """A round of one phase, without a ballot. Once it is reached, `latest` holds the register's value."""

    __slots__ = ()

    def __init__(self, configuration: Configuration) -> None:
        super().__init__(configuration, ZERO)
        self.message = Read()

    @property
    def quorum(self) -> Quorum:
        """Who is asked."""
        return self.configuration.prepare

    @property
    def latest(self) -> State:
        """The state with the highest accepted ballot, among those shown."""
        return max(self._shown().values(), key=lambda state: state.accepted, default=State())

    @property
    def promised(self) -> Ballot:
        """The highest promised ballot, among the states shown."""
        return max((state.promised for state in self._shown().values()), default=ZERO)

    @property
    def status(self) -> Status:
        """Whether the value is known, can no longer become known, or is open."""
        prepare, accept, latest = self.configuration.prepare, self.configuration.accept, self.latest.accepted
        agree = {name for name, state in self._shown().items() if state.accepted == latest}
        # Who shows nothing, but has promised more, may have forgotten something newer.
        forgotten = any(state.accepted == ZERO and state.promised > latest > ZERO for state in self._shown().values())
        if prepare.met_by(self.granted) and (latest == ZERO or accept.met_by(agree)) and not forgotten:
            return Status.REACHED
        silent = set(prepare.members) - self.granted.keys() - self.refused.keys()
        hopeless = forgotten or (latest != ZERO and not accept.met_by(agree | silent))
        return Status.MISSED if hopeless or prepare.lost_without(self.refused) else Status.WAITING

    def _shown(self) -> dict[str, State]:
        return {name: state for name, state in self.granted.items() if isinstance(state, State)}
