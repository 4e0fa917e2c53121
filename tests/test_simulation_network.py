"""What the simulated network does to a packet, one fault at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gryadka.acceptors.memory import MemoryAcceptor
from gryadka.errors import AcceptorError
from gryadka.protocol.acceptor import Accept, Ballot, Conflict, Message, Prepare, Promise, State
from gryadka.simulation.loop import run
from gryadka.simulation.network import Network
from gryadka.simulation.plan import Fate
from gryadka.trace import Event

ONE, TWO, THREE = (Ballot(number, 1) for number in (1, 2, 3))
ANSWER_S = 0.05


class Post:
    """A network of two acceptors and one proposer. Packets take 10 ms unless `fates` says otherwise."""

    def __init__(self, **fates: Fate) -> None:
        self.loop = asyncio.get_running_loop()
        self.events: list[Event] = []
        self.acceptors = {name: MemoryAcceptor(name) for name in "AB"}
        self.met: list[tuple[str, str, int]] = []

        def fate(source: str, target: str, number: int) -> Fate:
            self.met.append((source, target, number))
            return fates.get(f"{source}{target}{number}", (0.01,))

        self.network = Network(self.loop, self.acceptors, fate, observe=self.events.append, record=True)
        self.link = self.network.links("P", "proposer-1", ANSWER_S)["A"]

    async def ask(self, *messages: Message) -> tuple[Any, float]:
        """Return the replies, or the error, and how long they took."""
        begun = self.loop.time()
        try:
            replies: Any = await self.link.send([(f"k{number}", message) for number, message in enumerate(messages)])
        except AcceptorError as error:
            replies = error
        return replies, round(self.loop.time() - begun, 6)

    def state(self, acceptor: str = "A") -> State:
        return self.acceptors[acceptor].states.get("k0", State())

    def told(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]


def simulated(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def wrapped() -> None:
        run(test())  # type: ignore[arg-type]

    wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
    return wrapped


@simulated
async def test_a_batch_is_one_packet_there_and_one_back() -> None:
    post = Post(PA1=(0.003,), AP1=(0.004,))
    replies, took_s = await post.ask(Prepare(ONE), Accept(TWO, "x", THREE))
    assert [type(reply).__name__ for reply in replies] == ["Promise", "Accepted"]
    assert took_s == 0.007
    assert post.met == [("P", "A", 1), ("A", "P", 1)]
    assert post.network.fates_met == {"P>A 1": (0.003,), "A>P 1": (0.004,)}
    assert [(event.key, event.state) for event in post.told("state")] == [
        ("k0", State(promised=ONE)),
        ("k1", State(THREE, TWO, "x")),
    ]


@simulated
async def test_a_lost_request_never_arrives_and_send_gives_up_in_time() -> None:
    post = Post(PA1=())
    error, took_s = await post.ask(Prepare(ONE))
    assert isinstance(error, AcceptorError) and error.acceptor == "A" and took_s == ANSWER_S
    assert post.state() == State()
    (event,) = post.told("dropped")
    assert (event.node, event.peer, event.message, event.reply) == ("proposer-1", "A", Prepare(ONE), None)


@simulated
async def test_a_lost_reply_leaves_its_mark_on_the_acceptor() -> None:
    post = Post(AP1=())
    error, took_s = await post.ask(Prepare(ONE))
    assert isinstance(error, AcceptorError) and took_s == ANSWER_S
    assert post.state() == State(promised=ONE)
    (event,) = post.told("dropped")
    assert (event.node, event.peer, event.reply) == ("A", "proposer-1", Promise(State().accepted, None))


@simulated
async def test_packets_overtake_each_other() -> None:
    post = Post(PA1=(0.03,), PA2=(0.001,))
    late = asyncio.create_task(post.ask(Prepare(ONE)))
    await asyncio.sleep(0)
    early, _ = await post.ask(Prepare(TWO))
    assert early == [Promise(State().accepted, None)]
    assert (await late)[0] == [Conflict(TWO)]


@simulated
async def test_a_doubled_packet_is_answered_twice_and_heard_once() -> None:
    post = Post(PA1=(0.001, 0.02), AP1=(0.003,), AP2=(0.001,))
    replies, took_s = await post.ask(Prepare(ONE))
    assert replies == [Promise(State().accepted, None)] and took_s == 0.004
    await asyncio.sleep(0.1)
    assert [type(event.reply).__name__ for event in post.told("state")] == ["Promise", "Conflict"]
    assert post.told("duplicated")[0].note == "arrives 2 times"


@simulated
async def test_a_packet_may_arrive_long_after_its_sender_gave_up() -> None:
    post = Post(PA1=(7.0,))
    error, _ = await post.ask(Accept(ONE, "x", ONE))
    assert isinstance(error, AcceptorError) and post.state() == State()
    await post.link.close()
    await asyncio.sleep(10)
    assert post.state() == State(ONE, ONE, "x")


@simulated
async def test_a_sender_that_is_cancelled_does_not_take_its_packet_back() -> None:
    post = Post()
    sending = asyncio.create_task(post.ask(Accept(ONE, "x", ONE)))
    await asyncio.sleep(0.001)
    sending.cancel()
    await asyncio.sleep(1)
    assert post.state() == State(ONE, ONE, "x")


@simulated
async def test_a_cut_of_one_direction_stops_that_direction_only() -> None:
    post = Post()
    post.network.cut(frozenset({"A>P"}))
    error, _ = await post.ask(Prepare(ONE))
    assert isinstance(error, AcceptorError) and post.state() == State(promised=ONE)
    post.network.heal(frozenset({"A>P"}))
    post.network.cut(frozenset({"P>A"}))
    error, _ = await post.ask(Prepare(TWO))
    assert isinstance(error, AcceptorError) and post.state() == State(promised=ONE)
    post.network.heal(frozenset({"P>A"}))
    replies, _ = await post.ask(Prepare(THREE))
    assert isinstance(replies[0], Promise)
    assert [event.note for event in post.told("dropped")] == ["the way is cut"] * 2


@simulated
async def test_of_two_cuts_both_have_to_heal() -> None:
    post = Post()
    small, large = frozenset({"P>A"}), frozenset({"P>A", "P>B"})
    post.network.cut(small)
    post.network.cut(large)
    post.network.heal(large)
    assert isinstance((await post.ask(Prepare(ONE)))[0], AcceptorError)
    post.network.heal(small)
    assert isinstance((await post.ask(Prepare(ONE)))[0], list)


@simulated
async def test_what_left_before_the_cut_still_arrives() -> None:
    post = Post(AP1=(0.02,))
    asking = asyncio.create_task(post.ask(Prepare(ONE)))
    await asyncio.sleep(0.015)  # the reply is under way
    post.network.cut(frozenset({"A>P", "P>A"}))
    assert isinstance((await asking)[0], list)


@pytest.mark.parametrize(("forget", "after"), [(False, State(promised=ONE)), (True, State())])
def test_a_crash_loses_what_arrives_and_keeps_what_was_stored_unless_there_is_amnesia(
    forget: bool, after: State
) -> None:
    async def main() -> None:
        post = Post()
        await post.ask(Prepare(ONE))
        post.network.crash("A")
        error, _ = await post.ask(Prepare(TWO))
        assert isinstance(error, AcceptorError)
        post.network.restart("A", forget=forget)
        assert post.state() == after
        assert (await post.ask(Prepare(ONE)))[0] == [Promise(State().accepted, None) if forget else Conflict(ONE)]

    run(main())


@simulated
async def test_what_arrives_at_a_paused_acceptor_waits_and_keeps_its_order() -> None:
    post = Post(PA1=(0.002,), PA2=(0.001,))
    post.network.pause("A")
    both = [asyncio.create_task(post.ask(Prepare(ballot))) for ballot in (ONE, TWO)]
    await asyncio.sleep(0.02)
    assert post.state() == State()
    post.network.resume("A")
    assert [(await one)[0] for one in both] == [[Conflict(TWO)], [Promise(State().accepted, None)]]


@simulated
async def test_two_proposers_have_ways_of_their_own() -> None:
    post = Post()
    other = post.network.links("Q", "proposer-2", ANSWER_S)["A"]
    await post.ask(Prepare(ONE))
    await other.send([("k0", Prepare(TWO))])
    assert post.network.acceptors["A"].states["k0"] == State(promised=TWO)
    assert post.met == [("P", "A", 1), ("A", "P", 1), ("Q", "A", 1), ("A", "Q", 1)]


def test_a_rule_that_raises_ends_the_simulation_with_its_own_error() -> None:
    async def main() -> None:
        post = Post()

        def broken(state: State, message: Prepare) -> Any:
            raise ZeroDivisionError("my rule")

        post.acceptors["A"] = MemoryAcceptor("A", prepare=broken)
        await post.ask(Prepare(ONE))

    with pytest.raises(ZeroDivisionError, match="my rule"):
        run(main())
