"""The HTTP store: one proposer behind `GET`, `PUT`, `DELETE` and `POST /kv/{key}`.

    async with Service(Store(gryadka.Proposer.from_urls(urls)), port=8080):
        ...

Any number of services may stand before the same acceptors: each is one proposer, none leads, and a client may
ask a different one each time. What one service answers, all of them know.

| module | what stands there |
|---|---|
| `records` | what a register holds for this store, and how a request changes it: pure functions |
| `changes` | the changes that a client may ask for by name |
| `reading` | what a request says: its key, its conditions, its JSON |
| `failures` | every refusal, with its HTTP status |
| `store` | the four operations on a proposer |
| `service`, `health`, `metrics` | the HTTP service around a store |
| `admin`, `inside`, `operator` | what its operators see and do, on a port of their own; and the client of that |
| `client` | the four operations over HTTP |

The conditions and status codes are those of RFC 9110 (sections 13 and 15); `Idempotency-Key` is that of the
IETF's draft "The Idempotency-Key HTTP Header Field".
"""

from gryadka.http.changes import STANDARD, Changed
from gryadka.http.failures import DoesNotFit
from gryadka.http.service import Service
from gryadka.http.store import Store

__all__ = ["STANDARD", "Changed", "DoesNotFit", "Service", "Store"]
