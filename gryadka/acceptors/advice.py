"""What Redis's errors mean for an acceptor, and what to do about each."""

from __future__ import annotations

import re

from gryadka.errors import AcceptorError

_PASSWORD = "refused the password; check the one in its URL"

# Redis's error code, or the name of the exception or of one of its bases -> a sentence.
ADVICE = {
    "IDENTITY": "holds another identity than before: it was flushed or replaced, and what it promised is "
    "lost. It must not vote in its old place; add it as a new member",
    "EPOCH": "works with a later configuration, which is learned at the next connection",
    "NOAUTH": "needs a password; put it into its URL, as in redis://:password@host:6379",
    "WRONGTYPE": "holds something else under this register's name; remove it or use another namespace",
    "READONLY": "is a read-only replica; name its master instead",
    "OOM": "is full; raise its maxmemory or make room",
    "MISCONF": "cannot write to its disk; free some space and see its log",
    "NOREPLICAS": "has too few replicas for a write; see min-replicas-to-write",
    "NOPERM": "does not let this user run the script; see ACL SETUSER",
    "BALLOT": "was sent, or holds, a ballot that it cannot compare",
    "LOADING": "is still loading its data; wait a little",
    "BUSY": "is busy with somebody's script; see SCRIPT KILL",
    "NOSCRIPT": "has forgotten the script, which is loaded again at the next connection",
    "AuthenticationError": _PASSWORD,
    "AuthenticationWrongNumberOfArgsError": _PASSWORD,
    "NoPermissionError": "does not let this user run the script; see ACL SETUSER",
    "ReadOnlyError": "is a read-only replica; name its master instead",
    "OutOfMemoryError": "is full; raise its maxmemory or make room",
    "BusyLoadingError": "is still loading its data; wait a little",
    "NoScriptError": "has forgotten the script, which is loaded again at the next connection",
    "TimeoutError": "did not answer in time; it may be paused, overloaded or cut off",
    "ConnectionError": "cannot be reached; is the server running?",
}


def explain(acceptor: str, error: object) -> AcceptorError:
    """Turn an error of Redis (its text) or of its client (an exception) into one that says what to do."""
    if isinstance(error, AcceptorError):
        return error
    # Older servers wrap the code of an error inside a script into other words.
    names = re.findall(r"\b[A-Z]{3,}\b", str(error)) + [kind.__name__ for kind in type(error).__mro__]
    advice = next((ADVICE[name] for name in names if name in ADVICE), "failed")
    return AcceptorError(acceptor, f"{advice} ({str(error) or type(error).__name__})")
