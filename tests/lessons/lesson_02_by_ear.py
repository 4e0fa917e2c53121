"""What lesson 02 announces to whoever hears it and sees no picture, as it goes when one follows its text.

The tests compare it with the lesson's own views, in Python and in a browser.
"""

BEGINS = [
    "Nothing has happened yet. Let a proposer begin a change.",
    "Proposer 1 begins change 1. Proposer 1 asks A, B and C to promise 1:1.",
    "Proposer 2 begins change 1. Proposer 2 asks A, B and C to promise 1:2.",
]
"""What has happened when the cell has run."""

REFUSED = [
    ("deliver 4", "A promises 1:2, and tells that it has accepted nothing."),
    ("deliver 1", "A says no to prepare 1:1: it has promised 1:2, and 1:1 is not higher."),
]
"""What the text asks for: deliver 4 before 1."""

GOES_ON = """
B promises 1:1, and tells that it has accepted nothing.
C promises 1:1, and tells that it has accepted nothing.
B promises 1:2, and tells that it has accepted nothing.
C promises 1:2, and tells that it has accepted nothing.
Proposer 2 hears from A: promise (none).
Proposer 1 hears from A: conflict 1:2.
Proposer 1 hears from B: promise (none).
Proposer 1 hears from C: promise (none); that makes a quorum: B and C. \
Proposer 1 asks A, B and C to accept "a1;" at 1:1, and to promise 2:1 next: \
by the rule it begins with nothing, for B and C had accepted nothing.
Proposer 2 hears from B: promise (none); that makes a quorum: A and B. \
Proposer 2 asks A, B and C to accept "b1;" at 1:2, and to promise 2:2 next: \
by the rule it begins with nothing, for A and B had accepted nothing.
Proposer 2 hears from C: promise (none), too late to matter.
A says no to accept 1:1: it has promised 1:2, and 1:1 is lower.
B says no to accept 1:1: it has promised 1:2, and 1:1 is lower.
C says no to accept 1:1: it has promised 1:2, and 1:1 is lower.
A accepts "b1;" at 1:2, and promises 2:2 next.
B accepts "b1;" at 1:2, and promises 2:2 next; a quorum has accepted it (A and B), so "b1;" is chosen.
C accepts "b1;" at 1:2, and promises 2:2 next.
Proposer 1 hears from A: conflict 1:2.
Proposer 1 hears from B: conflict 1:2. Proposer 1 asks A, B and C to promise 3:1.
Proposer 1 hears from C: conflict 1:2, too late to matter.
Proposer 2 hears from A: accepted.
Proposer 2 hears from B: accepted; that makes a quorum: A and B. \
Change 1 of proposer 2 ends: applied. So far: linearizable.
Proposer 2 hears from C: accepted.
A promises 3:1, and tells that it has accepted "b1;" at 1:2.
B promises 3:1, and tells that it has accepted "b1;" at 1:2.
C promises 3:1, and tells that it has accepted "b1;" at 1:2.
Proposer 1 hears from A: promise ("b1;").
Proposer 1 hears from B: promise ("b1;"); that makes a quorum: A and B. \
Proposer 1 asks A, B and C to accept "b1;a1;" at 3:1, and to promise 4:1 next: \
by the rule it goes on from "b1;" at 1:2, the highest that A and B told of.
Proposer 1 hears from C: promise ("b1;"), too late to matter.
A accepts "b1;a1;" at 3:1, and promises 4:1 next.
B accepts "b1;a1;" at 3:1, and promises 4:1 next; a quorum has accepted it (A and B), so "b1;a1;" is chosen.
C accepts "b1;a1;" at 3:1, and promises 4:1 next.
Proposer 1 hears from A: accepted.
Proposer 1 hears from B: accepted; that makes a quorum: A and B. \
Change 1 of proposer 1 ends: applied. So far: linearizable.
Proposer 1 hears from C: accepted.
""".strip().split("\n")
"""And then, whenever the first message of the list is delivered: both changes get through, as the text hopes."""

WRONG = "promises everything"
"""The wrong `prepare` among the answers whose counterexample is played."""

PLAYED = [
    "Nothing has happened yet.",
    "Proposer 1 begins change 1 (append), then asks all to promise 1:1",
    "Proposer 1 gives up 1:1, then asks all to promise 2:1",
    "A promises 2:1, and tells that it has accepted nothing",
    "A promises 1:1, and tells that it has accepted nothing; it then has promised 1:1 and accepted nothing. "
    "By the rules: A refuses 1:1, because it has promised 2:1",
]

MAP = "With 2 ballots an acceptor can be in 6 states."
