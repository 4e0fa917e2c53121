"""Histories from outside: Jepsen's, as log lines or as EDN.

What may live here: a reader of EDN, the notation of Clojure, and the translation of Jepsen's events into our
operations. Nothing here is evaluated: tagged values such as `#jepsen.history.Op{...}` are read as plain data.

Jepsen (https://jepsen.io) writes one event when a client asks and one when it knows:

    {:process 3, :type :invoke, :f :cas, :value [0 1], :time 1042}
    {:process 3, :type :ok, :f :cas, :value [0 1], :time 5310}

| `:type` | our outcome |
|---|---|
| `:ok` | ok; the `:value` of a `:read` or `:get` is its result |
| `:fail` | failed: it certainly took no effect |
| `:info`, or nothing at all | unknown |

The order of events is the truth about what came before what; `:time` (nanoseconds) is kept where there is
one, and without it the n-th event happens at second n. Events of the nemesis (which makes the faults, and
has a name for a process) are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gryadka.checking.history import UNTOLD, Begun, History, Recorder, Refusal, load

_TOKEN = re.compile(
    r"""[\s,]+ | ;[^\n]*
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<open>\#\{|[\[({])
    | (?P<close>[\])}])
    | (?P<discard>\#_)
    | (?P<symbolic>\#\#-?[a-zA-Z]+)
    | (?P<tag>\#[^\s,;"\[\](){}]+)
    | (?P<char>\\(?:[a-zA-Z0-9]+|.))
    | (?P<atom>[^\s,;"\[\](){}]+)""",
    re.VERBOSE,
)
_CLOSING = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_CHARS = {"newline": "\n", "return": "\r", "space": " ", "tab": "\t"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "b": "\b", "f": "\f"}
_NUMBER = re.compile(r"[+-]?\d+(?P<part>\.\d*)?(?P<power>[eE][+-]?\d+)?[NM]?")


class Keyword(str):
    """A keyword of EDN, without its colon. It equals the text of the same letters."""

    __slots__ = ()


def read_edn(text: str) -> Iterator[Any]:
    """Yield the values of `text`, one after another, as Python data.

    Vectors, lists and sets become lists, maps become dicts (a key that is a collection becomes a tuple),
    keywords `Keyword`, symbols text. A tag is dropped and its value kept. Raises `ValueError` for what is
    not EDN.
    """
    at = [0]
    tokens = _tokens(text, at)
    try:
        for kind, token in tokens:
            value = _form(kind, token, tokens)
            if value is not _NOTHING:
                yield value
    except ValueError as error:
        line = text.count("\n", 0, at[0]) + 1
        raise ValueError(f"line {line}: {error}") from error


_NOTHING = object()


def _tokens(text: str, at: list[int]) -> Iterator[tuple[str, str]]:
    # Whoever has to say where something is wrong finds the position in `at`.
    while at[0] < len(text):
        match = _TOKEN.match(text, at[0])
        if match is None:
            raise ValueError(f"{text[at[0] : at[0] + 20]!r} is not EDN")
        if match.lastgroup is not None:
            yield match.lastgroup, match.group()
        at[0] = match.end()


def _form(kind: str, token: str, tokens: Iterator[tuple[str, str]]) -> Any:
    if kind == "open":
        return _collection(token, tokens)
    if kind == "string":
        return _ESCAPE.sub(_unescaped, token[1:-1])
    if kind == "char":
        return _CHARS.get(token[1:], token[1:])
    if kind == "discard":
        _next(tokens)
        return _NOTHING
    if kind == "symbolic":  # ##Inf, ##-Inf or ##NaN
        return float(token[2:])
    if kind == "tag":
        return _next(tokens)
    if kind == "close":
        raise ValueError(f"a {token} closes nothing")
    return _atom(token)


def _next(tokens: Iterator[tuple[str, str]]) -> Any:
    for kind, token in tokens:
        value = _form(kind, token, tokens)
        if value is not _NOTHING:
            return value
    raise ValueError("the text ends where a value is due")


def _collection(opening: str, tokens: Iterator[tuple[str, str]]) -> Any:
    parts = []
    for kind, token in tokens:
        if kind == "close":
            if token != _CLOSING[opening]:
                raise ValueError(f"{opening} is closed by {token}")
            break
        value = _form(kind, token, tokens)
        if value is not _NOTHING:
            parts.append(value)
    else:
        raise ValueError(f"{opening} is never closed")
    if opening != "{":
        return parts
    if len(parts) % 2:
        raise ValueError("a map holds a key without a value")
    return {_hashable(key): value for key, value in zip(parts[::2], parts[1::2], strict=True)}


def _hashable(key: Any) -> Any:
    if isinstance(key, list):
        return tuple(map(_hashable, key))
    return _hashable([part for pair in key.items() for part in pair]) if isinstance(key, dict) else key


def _atom(token: str) -> Any:
    constants = {"nil": None, "true": True, "false": False}
    if token in constants:
        return constants[token]
    if token.startswith(":"):
        return Keyword(token[1:])
    number = _NUMBER.fullmatch(token)
    if number is None:
        return token
    if number["part"] is None and number["power"] is None and not token.endswith("M"):
        return int(token.rstrip("N"))
    return float(token.rstrip("M"))


def _unescaped(match: re.Match[str]) -> str:
    letters = match[1]
    if letters.startswith("u") and len(letters) == 5:
        return chr(int(letters[1:], 16))
    if letters not in _ESCAPES:
        raise ValueError(f"\\{letters} is no escape of EDN")
    return _ESCAPES[letters]


def jepsen_edn(text: str, *, keyed: bool = False, refused: frozenset[str] = frozenset()) -> History:
    """Read a Jepsen history in EDN: one map an event, either bare or together in one vector or list.

    With `keyed`, each `:value` is `[key value]`, as Jepsen's `independent` workloads write it. `refused`
    names functions whose `:fail` means that the register's value refused them (`{"cas"}` for a
    compare-and-set that reports nothing else as `:fail`); then that is checked too. Raises `ValueError`.
    """
    try:
        return _history(_events(read_edn(text)), keyed=keyed, refused=refused)
    except RecursionError:
        raise ValueError("the EDN is nested too deeply") from None


def _events(forms: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for form in forms:
        if isinstance(form, list):
            yield from _events(form)
        elif isinstance(form, dict):
            yield form
        else:
            raise ValueError(f"a Jepsen event is a map, not {form!r}")


_LOG_LINE = re.compile(r"\bjepsen\.util\s*[-:]\s+(\S+)\s+:(invoke|ok|fail|info)\s+:(\S+)\s+(.*)")


def jepsen_log(lines: Iterable[str], *, refused: frozenset[str] = frozenset()) -> History:
    """Read the events in Jepsen's log, lines such as `INFO  jepsen.util - 0 :invoke :write 3`.

    Other lines are passed over. `refused` is as for `jepsen_edn`. Raises `ValueError`.
    """
    return _history(_log_events(lines), keyed=False, refused=refused)


def _log_events(lines: Iterable[str]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(lines, start=1):
        match = _LOG_LINE.search(line)
        if match is not None:
            process, kind, f, rest = match.groups()
            try:
                value = next(read_edn(rest), None)
            except ValueError:
                raise ValueError(f"line {number}: {rest.strip()!r} is not EDN") from None
            yield {"process": _atom(process), "type": kind, "f": f, "value": value}


def _history(events: Iterable[Mapping[str, Any]], *, keyed: bool, refused: frozenset[str]) -> History:
    now_s = 0.0
    recorder = Recorder(clock=lambda: now_s)
    begun: dict[int, Begun] = {}
    for number, event in enumerate(events):
        try:
            process, kind, f = event["process"], str(event["type"]), str(event["f"])
            if not isinstance(process, int):
                continue
            now_s = _seconds(event["time"]) if "time" in event else float(number)
            key, value = _key_and_value(event, keyed=keyed)
            if (kind == "invoke") == (process in begun):
                what = "asks again before its answer" if process in begun else "answers what it never asked"
                raise ValueError(f"process {process} {what}")
            if kind == "invoke":
                begun[process] = recorder.begin(process=process, f=f, args=_args(f, value), key=key)
            else:
                _end(begun.pop(process), kind, f, value, refused)
        except KeyError as missing:
            raise ValueError(f"event {number + 1} has no {missing}") from None
        except (TypeError, ValueError) as error:
            raise ValueError(f"event {number + 1}: {error}") from error
    return recorder.history()


def _seconds(nanoseconds: Any) -> float:
    if type(nanoseconds) not in (int, float) or not abs(nanoseconds) < 2**63:
        raise ValueError(f"a time is a number of nanoseconds, not {nanoseconds!r}")
    return float(nanoseconds / 1e9)


def _key_and_value(event: Mapping[str, Any], *, keyed: bool) -> tuple[str, Any]:
    value = event.get("value")
    if not keyed:
        return str(event.get("key", "")), value
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError(f"the value should be [key value], but is {value!r}")
    return str(value[0]), value[1]


def _args(f: str, value: Any) -> list[Any]:
    if f in ("read", "get"):
        return []
    return value if f == "cas" and isinstance(value, list) else [value]


_ENDINGS: dict[str, Callable[[Begun], None]] = {"fail": Begun.failed, "info": Begun.unknown}


def _end(begun: Begun, kind: str, f: str, value: Any, refused: frozenset[str]) -> None:
    if kind == "ok":
        begun.ok(value if f in ("read", "get") else UNTOLD)
    elif kind == "fail" and f in refused:
        begun.ok(Refusal())
    elif kind in _ENDINGS:
        _ENDINGS[kind](begun)
    else:
        raise ValueError(f"unknown type {kind!r}")


def read_history(path: str | Path, *, keyed: bool = False) -> History:
    """Read a history file of any kind: our JSON lines, Jepsen's EDN, or Jepsen's log.

    The first character decides: of JSON lines and EDN it is a bracket, and only EDN has a colon or a brace
    next. `keyed` is as for `jepsen_edn`. Raises `ValueError` for what is none of them, `OSError` if it cannot be
    read.
    """
    text = Path(path).read_text(encoding="utf-8-sig")  # some editors begin a file with a mark of its order of bytes
    start = "".join(text[:200].split())
    if start.startswith('{"'):
        return load(text.splitlines())
    if start.startswith(("{", "[", "(", "#", ";")):
        return jepsen_edn(text, keyed=keyed)
    history = jepsen_log(text.splitlines())
    if not history:
        raise ValueError(f"{path} is neither a history in JSON lines nor one of Jepsen's, in EDN or as a log")
    return history
