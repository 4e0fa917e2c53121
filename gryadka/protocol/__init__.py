"""The rules of CASPaxos as plain values and functions: no clock, no network, no chance.

Read in this order: `acceptor` (what one server must remember), `configuration` (how many servers make a
quorum), `round` (how one change asks them), `value` (what may be stored).
"""
