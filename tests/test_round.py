"""One round, told of replies in every order."""

from __future__ import annotations

from itertools import permutations

from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import ZERO, Accept, Accepted, Ballot, Conflict, Prepare, Promise
from gryadka.protocol.configuration import Configuration, Quorum
from gryadka.protocol.round import Round, Status, choose

MAJORITY = Configuration.majority("ABC")
BALLOT, NEXT = Ballot(5, 1), Ballot(6, 1)


def prepared(configuration: Configuration = MAJORITY) -> Round:
    round = Round(configuration, BALLOT)
    for name in configuration.prepare.members[: configuration.prepare.size]:
        round.receive(name, Prepare(BALLOT), Promise(ZERO, None))
    return round


def test_the_value_under_the_highest_ballot_is_chosen_whatever_the_order() -> None:
    promises = [Promise(ZERO, None), Promise(Ballot(2, 9), "2"), Promise(Ballot(3, 1), "3")]
    assert {choose(order) for order in permutations(promises)} == {Promise(Ballot(3, 1), "3")}


def test_a_round_waits_for_its_quorum_and_no_longer() -> None:
    round = Round(MAJORITY, BALLOT)
    assert round.status is Status.WAITING
    round.receive("A", Prepare(BALLOT), Promise(Ballot(2, 1), "old"))
    assert round.status is Status.WAITING
    round.receive("C", Prepare(BALLOT), Promise(ZERO, None))
    assert round.status is Status.REACHED
    assert round.current() == Promise(Ballot(2, 1), "old")


def test_a_round_is_missed_as_soon_as_no_quorum_is_left() -> None:
    round = Round(MAJORITY, BALLOT)
    round.receive("A", Prepare(BALLOT), Conflict(Ballot(7, 2)))
    assert round.status is Status.WAITING
    round.receive("B", Prepare(BALLOT), AcceptorError("B", "is down"))
    assert round.status is Status.MISSED
    assert round.problem() == "prepare got 0 of 2 answers: A has promised 7:2; B is down"


def test_a_reply_from_an_acceptor_counts_once() -> None:  # pitfall 6
    round = Round(MAJORITY, BALLOT)
    for _ in range(3):
        round.receive("A", Prepare(BALLOT), Promise(ZERO, None))
    assert round.status is Status.WAITING
    round.receive("A", Prepare(BALLOT), Conflict(Ballot(9, 9)))  # from a duplicate of the prepare
    assert "A" in round.granted and not round.refused


def test_a_late_reply_to_the_prepare_is_not_taken_for_one_to_the_accept() -> None:  # pitfall 6
    round = prepared()
    round.propose("new", NEXT)
    round.receive("C", Prepare(BALLOT), Promise(ZERO, None))
    round.receive("B", Prepare(BALLOT), Conflict(Ballot(9, 9)))
    assert not round.granted and not round.refused


def test_replies_to_another_round_are_ignored() -> None:  # pitfall 6
    round = Round(MAJORITY, BALLOT)
    round.receive("A", Prepare(Ballot(4, 1)), Promise(ZERO, None))
    assert not round.granted


def test_the_promises_of_an_accept_prepare_the_next_round() -> None:
    round = prepared()
    round.propose("new", NEXT)
    assert round.message == Accept(BALLOT, "new", NEXT)
    assert round.successor() is None
    for name in "AB":
        round.receive(name, round.message, Accepted())
    following = round.successor()
    assert following and following.ballot == NEXT
    assert following.status is Status.REACHED
    assert following.current() == Promise(BALLOT, "new")


def test_an_accept_quorum_that_is_no_prepare_quorum_prepares_nothing() -> None:
    four = ("A", "B", "C", "D")
    round = prepared(Configuration(Quorum(four, 3), Quorum(four, 2)))
    round.propose("new", NEXT)
    for name in "AB":
        round.receive(name, round.message, Accepted())
    assert round.status is Status.REACHED and round.successor() is None
    round.receive("C", round.message, Accepted())  # a late reply still counts
    assert round.successor() is not None


def test_a_round_still_in_prepare_has_no_successor() -> None:
    assert prepared().successor() is None
