"""What the text of a lesson says beforehand that a cell will show: lesson -> cell -> what its output has to match.

A change of the proposer's pauses once made the fourth mutant of lesson 02 lose nothing, while the text went on
to tell of a loss. Nothing failed, and no learner could have understood it.
"""

TOLD: dict[str, dict[str, str]] = {
    "00_welcome": {
        "see-change": r"^'hello'$",
        "see-three": r'(.*: promised \d+:\S+, accepted \d+:\S+, value "hello"\n?){3}',
        "see-one-dead": r"^'hello, world'$",
        "see-two-left": r'down\n(.*value "hello, world"\n?){2}',
        "see-two-dead": r"^OutcomeUnknown: .*\(prepare got [01] of 2 answers",
        "see-fresh-proposer": r"^NotApplied: .*\(prepare got [01] of 2 answers",
        "see-returned": r"^hello, world!?\n(.*\n)?(.*promised \d{3,}:)",
        "build-tour": r"that makes a quorum",
        "build-play": r"0\. Nothing has happened yet\.",
        "real-hash": r"promised\n(.*\n)*.*accepted\n(.*\n)*.*value\n.*hello, world",
    },
    "01_why_agreement_is_hard": {
        "see-one-after-the-other": r"nothing is lost: Ann was told \[milk\] and Bob was told \[milk, bread\]",
        "check-shortest": r"an item can be lost, in 8 steps",
        "check-history": r"Not linearizable",
        "mends-search": r"newer: an item can be lost(.*\n)refuses: .* in 11 steps(.*\n)refuses, asks all: no schedule",
        "real-perform": r"neither list goes on from the other",
        "real-gryadka-race": r"^20 items were stored, and 20 are on the list",
    },
    "02_promises": {
        "see-messages": r"^1\. .*\n2\. .* Conflict\(.*\n3\. .*\n4\. .*'tea'\)\n5\. .* Conflict\(.*\n6\. .*Accepted",
        "see-two-rounds": r"B: promised 2:2, accepted nothing",
        "see-accident": r"^(.*: +Accepted\(\)\n){4}",
        "build-graph": r"can reach 6 states",
        "mutants-late-tea": r": +\['coffee'\]\nforgets: +\['tea', 'coffee'\]\nobeys: +\['tea', 'coffee'\]",
        "mutants-missing-drinks": r": +\['tea', 'coffee', 'milk'\]\nhides: +\['milk'\]\nshortens: +\['tea', 'milk'\]",
        "real-servers": r"^(\[.*\]) \1\n(\[.*\]) \2\n(\['tea', 'coffee', 'milk'\]) \3\n",
        "real-states": r"different states among the six: 1\n",
    },
    "03_change": {
        "see-count": r"What happened +40",
        "see-colours": r"(Synod.*value red\n){3}CASPaxos.*red\nCASPaxos.*green\nCASPaxos.*blue",
        "see-registers": r"refused: version 0 was expected, 1 is stored; it is .*'red'",
        "build-example": r"1:2 apple",
        "real-grab": r"(?=(.*\n)*\w+ rides\n)(?=(.*\n)*(\w+ waits for \w+\n){3})",
        "real-server-dies": r"^Gil waits for (\w+)\n\1 gives it back\nGil rides\n",
        "real-server-returns": r'(?=(.*\n)*.*value "Gil"\n)',
    },
    "04_redis_acceptors": {
        "see-hash": r"^7\n(.*\n)*.*promised\n.*2:\d+\n.*accepted\n.*1:\d+\n.*value\n.*\"value\":7,\"lineage\"",
        "see-identity": r'identity\n.*\n.*members\n.*\["\w{16}", "\w{16}", "\w{16}"\]',
        "see-kill": r": down\n",
        "see-restart": r"(.*value 7\n?){3}",
        "real-sell": r"6 seats left.*server 0.*\n+5 seats left.*server 1.*\n+4 seats left.*server 2",
        "real-hunt": r"14 steps(.*\n)+.*: B refuses(.*\n)+.*made version 1\..*last byte.*\n.*new reader gets \[2\]",
        "real-acknowledged": r"acknowledged: 2",
        "real-rewind": r"a new reader gets: 1",
        "real-flush": r"lost\. It must not vote in its old place(.*\n)+counted: 2",
    },
    "05_failures": {
        "see-box": r"in the box: 100\n",
        "see-frozen": r"^Ann .*OutcomeUnknown(.*\n)+Bob .*NotApplied",
        "see-read": r"in the box: 1[01]0\n",
        "see-pauses": r"^pauses \(0, 0\) s: 43 messages .*, 12 unknown\npauses .*: 8 messages .*, 0 unknown",
        "mutants-night": r"^the deposit of 1 is in the box 2 times(.*\n)+.* OutcomeUnknown(.*\n)+.*'balance': 2",
        "real-nine": r"the balance: 111111111\n",
    },
    "06_did_it_work": {
        "see-old-value": r"Not linearizable(.*\n)+Cleo: read\(\) = 1, .*fits nowhere",
        "see-linearizable": r"Linearizable: the numbers are an order",
        "see-open-bar": r"Linearizable(.*\n)+Bob: write\(2\) \(unknown\), .*with no end, takes effect",
        "see-campaign": r"^reorder.* 0 violations .*as it should\namnesia: .*: as it should",
        "see-amnesia": r"Not linearizable(.*\n)+.*add\(1\) = 46(.*\n)+.*add\(1\) = 1, .*, fits nowhere",
        "real-record": r"by yours: True\n(.*\n)*Linearizable",
        "real-judged": r"^by yours: False\n(.*\n)*Cleo: read\(\) = null, .*, fits nowhere",
    },
}
