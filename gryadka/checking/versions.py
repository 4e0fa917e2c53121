"""The order that versions tell: histories of versioned registers, judged without a search.

What may live here: that order, and what can contradict it.

The theory in a few lines. Each write makes the next version, and each answer shows one. So there is nothing to
search: put the operations in the order of the versions that they made or saw, fill the gaps with operations of
unknown outcome, and see whether the order keeps to real time. The time that it takes grows as sorting does.
(For the general problem, which is NP-complete, see Gibbons and Korach, "Testing shared memories", 1997; they
show as well that it becomes easy once it is known which write each read saw.)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any

from gryadka.checking.history import Operation, Outcome, Refusal
from gryadka.checking.sequential import NEVER_WRITTEN, freeze, thaw


class Clash(Exception):
    """A violation that the versions show: the reason in a sentence, and the operations that contradict."""

    def __init__(self, reason: str, *operations: Operation) -> None:
        super().__init__(reason)
        self.operations = operations


def shown(operation: Operation) -> Any:
    """Return the versioned value that the operation saw or made, or `UNTOLD`."""
    seen = operation.result.value if isinstance(operation.result, Refusal) else operation.result
    return NEVER_WRITTEN if seen is None else seen


def _version(operation: Operation) -> int:
    seen = shown(operation)
    if not isinstance(seen, dict) or seen.keys() != {"ver", "val"} or type(seen["ver"]) is not int:
        raise ValueError(f'({operation}): a versioned value is {{"ver": a whole number, "val": any value}}, or null')
    version: int = seen["ver"]
    return version


def _makes(operation: Operation) -> bool:
    return operation.f != "read" and not isinstance(operation.result, Refusal)


def by_version(operations: list[Operation]) -> list[Operation]:
    """Return the operations of one key in an order that explains them all. Raises `Clash` if there is none."""
    told = [(_version(operation), operation) for operation in operations if operation.outcome is Outcome.OK]
    spare = [operation for operation in operations if operation.outcome is Outcome.UNKNOWN and _makes(operation)]
    told.sort(key=_rank)
    values: dict[int, Any] = {}
    made: dict[int, Operation] = {}
    for version, operation in told:
        _check_alone(version, operation, made.get(version))
        if _makes(operation):
            made[version] = operation
        value = freeze(shown(operation))
        if values.setdefault(version, value) != value:
            others = [other for v, other in told if v == version and freeze(shown(other)) != value]
            raise Clash(f"version {version} was seen with two different values.", others[0], operation)
    told += _fill(told, made, values, spare)
    told.sort(key=_rank)
    _check_real_time(told)
    return [operation for _, operation in told]


def _rank(told: tuple[int, Operation]) -> tuple[int, bool, float]:
    version, operation = told
    return version, not _makes(operation), operation.invoked_s


def _check_alone(version: int, operation: Operation, maker: Operation | None) -> None:
    if version < 0 or (version == 0 and (_makes(operation) or shown(operation) != NEVER_WRITTEN)):
        raise Clash("nobody writes a version below 1.", operation)
    if not _makes(operation):
        if operation.f == "cas" and operation.args[0] == version:
            raise Clash(f"a cas from version {version} was refused at version {version}.", operation)
    elif maker is not None:
        raise Clash(f"two operations were both told that they made version {version}.", maker, operation)
    elif operation.f == "cas" and operation.args[0] != version - 1:
        raise Clash(f"a cas from version {operation.args[0]} made version {version}.", operation)
    elif freeze(shown(operation)["val"]) != freeze(operation.args[-1]):
        raise Clash(f"version {version} does not hold what its maker wrote.", operation)


def _check_real_time(told: list[tuple[int, Operation]]) -> None:
    # Nothing may stand after something that began when it had ended.
    latest_version, latest = told[0] if told else (0, None)
    for version, operation in told:
        assert latest is not None
        if operation.completed_s is not None and operation.completed_s < latest.invoked_s:
            reason = f"after one had seen or made version {version}, another began that had version {latest_version}."
            raise Clash(reason, operation, latest)
        if operation.invoked_s > latest.invoked_s:
            latest_version, latest = version, operation


def _fill(
    told: list[tuple[int, Operation]], made: Mapping[int, Operation], values: Mapping[int, Any], spare: list[Operation]
) -> list[tuple[int, Operation]]:
    """Give each version that nobody is known to have made to an operation of unknown outcome.

    It has to begin before the first end of what saw or made that version or a later one. Earlier versions
    are due earlier, so what is in time for one is in time for all later ones. Hence it is safe to serve first
    the operations with the fewest uses: a cas fits one version, a write only versions with its value.
    """
    versions = [version for version, _ in told]
    due = list(told)  # due[i] has the first end among told[i:]
    for i in range(len(due) - 2, -1, -1):
        due[i] = min(due[i], due[i + 1], key=lambda one: one[1].completed_s or 0.0)
    gaps: dict[int, Operation] = {}  # with the operation that needs it first
    for version in range(1, versions[-1] + 1 if versions else 1):
        if version not in made:
            gaps[version] = due[bisect_left(versions, version)][1]
        if len(gaps) > len(spare):
            break
    filled = _by_cas(gaps, values, spare)
    filled |= _by_write({gap: last for gap, last in gaps.items() if gap not in filled}, values, spare)
    for gap, last in gaps.items():
        if gap not in filled:
            raise Clash(f"nothing that began in time can have made version {gap}.", last)
    return list(filled.items())


def _by_cas(gaps: Mapping[int, Operation], values: Mapping[int, Any], spare: list[Operation]) -> dict[int, Operation]:
    filled: dict[int, Operation] = {}
    wanted = {gap - 1: gap for gap in gaps}
    for maker in spare:
        version = wanted.get(freeze(maker.args[0]), 0) if maker.f == "cas" else 0
        if version and maker.invoked_s <= (gaps[version].completed_s or 0.0):
            value = freeze({"ver": version, "val": maker.args[-1]})
            if values.get(version, value) == value:
                filled[version] = maker
    return filled


def _by_write(gaps: Mapping[int, Operation], values: Mapping[int, Any], spare: list[Operation]) -> dict[int, Operation]:
    writes = sorted((one for one in spare if one.f == "write"), key=lambda one: one.invoked_s)
    alike: dict[Any, list[Operation]] = {}
    for write in writes:
        alike.setdefault(freeze(write.args[0]), []).append(write)
    filled: dict[int, Operation] = {}
    for version, last in gaps.items():
        if version in values:
            some = alike.get(freeze(thaw(values[version])["val"]), [])
            at = bisect_right(some, last.completed_s or 0.0, key=lambda one: one.invoked_s)
            if at:
                filled[version] = some.pop(at - 1)  # the last one in time: those before it have more uses
    used = {id(write) for write in filled.values()}
    rest = (write for write in writes if id(write) not in used)
    for version, last in gaps.items():
        if version not in values:
            first = next(rest, None)
            if first is None or first.invoked_s > (last.completed_s or 0.0):
                break
            filled[version] = first
    return filled
