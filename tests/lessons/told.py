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
        "see-shopping": r"^20 items were stored, and \d+ are on the list: [ab0-9 ]+\n",
        "see-one-after-the-other": r"nothing is lost: Ann was told \[milk\] and Bob was told \[milk, bread\]",
        "check-shortest": r"an item can be lost, in 8 steps",
        "check-history": r"Not linearizable",
        "mends-search": r"newer: an item can be lost(.*\n)refuses: .* in 11 steps(.*\n)refuses, asks all: no schedule",
        "mends-picture": r"3\. Ann stores A.*\n4\. Bob asks A: hears milk(.*\n)+Bob was told .*, and Cleo \[eggs\]",
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
        "see-partitions": r"^(\S+: .*\n +\d+ acknowledged, \d+ failed, \d+ read, \d+ refused, \d+ unknown\n){2}",
        "see-pauses": r"^pauses \(0, 0\) s: 43 messages .*, 12 unknown\npauses .*: 8 messages .*, 0 unknown",
        "mutants-night": r"is in the box 2 times(.*\n)+(.* accepts {\"balance\":1} .*\n){2}.* OutcomeUnknown"
        r"(.*\n)+.*'balance': 2}\n(.*\n)+.*The answer of \w to proposer 1 is lost",
        "real-nine": r"the balance: 111111111\n",
    },
    "06_did_it_work": {
        "see-old-value": r"Not linearizable: .* meets the value 2\.\n(.*\n)+Cleo: read\(\) = 1, .*fits nowhere",
        "see-linearizable": r"Linearizable(.*\n)+Ann: .*number 3\nBob: .*number 1\nCleo: .*number 2\nDan: .*number 4",
        "see-open-bar": r"Linearizable(.*\n)+Bob: write\(2\) \(unknown\), .*with no end, takes effect",
        "see-campaign": r"^reorder.* 0 violations .*as it should\namnesia: .*: as it should",
        "see-amnesia": r"Not linearizable(.*\n)+.*add\(1\) = 46(.*\n)+.*add\(1\) = 1, .*, fits nowhere",
        "real-record": r"by yours: True\n(.*\n)*Linearizable",
        "real-judged": r"^by yours: False\n(.*\n)*Cleo: read\(\) = null, .*, fits nowhere",
    },
    "09_membership": {
        "see-live": r" D( is .*)?: promised nothing, accepted nothing.*\n +E( is .*)?: promised nothing, ",
        "see-change": r"^to 4 members:\n(.*\n)+to 5 members:\n(.*\n)*copy every record to E\n(.*\n)*"
        r"to 3 members:\n(.*\n)*rescan every record\n(.*\n)*adopt any 2 of C, D, E\n",
        "see-gap": r"^\d.* changes acknowledged; the longest gap \d+ ms; none was lost\n",
        "see-loss": r"^quorums: A and B, of three, reached; C, D and E, of five, reached\nthey find: None\n",
        "see-explorer": r"^with the copy: exhausted .*\nwithout it:\n(.*\n)+So \[1\] and \[2\] were acknowledged",
        "see-play": r"A promises 2:2, .* accepted nothing\.\n(.*\n)+.* D promises 2:2, .* accepted nothing\.\n",
        "see-zoo": r"^(.*: \d+ steps\n    .*\n){4}",
        "real-plan": r"adopt any 2 of A, B, D\n(.*\n)*to bring the records along, \d+ were sent",
        "real-another-dies": r"the longest gap \d+ ms; none was lost\nthe quiet records: 0 1 2 3 4 .* 15 16 17 18 19\n",
    },
    "10_forgetting": {
        "see-deleted": r"A: .*, accepted 2:1, value 42\n(.: .*, accepted 3:2, value none\n){2}",
        "see-forgotten": r"^A and B find: 42\n",
        "see-explorer": r"B promises ballot 2(.*\n)+.*B accepts ballot 2: no value(.*\n)+.*B forgets the record(.*\n)"
        r"+.*B accepts ballot 1: \[1\](.*\n)+\nSo change 1 was acknowledged, and then change 3 ",
        "see-play": r"B accepts null at 2:2(.*\n)+.*B forgets the record(.*\n)+.*B accepts \[1\] at 1:1",
        "mutants-zoo": r"^(.+: (\d+ steps|never done)\n    .*\n)+applies again to nothing.*\n.*\napplies again ",
        "real-delete": r"(.*: promised (\d+):.*, accepted (?!\2:)\d+:.*, value null\n){2}.*: down",
        "real-guard": r"May they forget it\? False\nThe collector says: ",
        "real-collect": r"^before: 11 11 11\n(.*\n)*after:  1 1 1\n(.*\n)+"
        r".*: promised (\d+:\S+), accepted nothing.*\n.*: promised \3, accepted nothing.*\n.*: promised \3, ",
        "real-anew": r"floor\n\d+:\d+\n(.*\n)*after None: a new thing\n",
    },
    "12_capstone": {
        "see-store": r"^stored as \"1-\w+\" and read: \['milk'\]\n",
        "see-http": r"^200 \"1-\w+\" \[\"milk\"\]\n",
        "see-match": r"^the record's ETag is \"2-(.*\n)+There is: \['milk', 'bread'\]\n",
        "see-once": r"^visits: 1\nvisits: 1\n$",
        "see-sleeper": r"^Ann: 1   Bob, a second later: None   Bob, when the lease is over: 2\n",
        "see-late": r"^Bob writes: written\nAnn wakes up and writes: refused, 2 was here before\n",
        "real-night": r"(?=(.*\n)*\$ gryadka acceptors add .*\n(.*\n)*epoch 1)"
        r"(?=(.*\n)*\$ gryadka acceptors remove .*\n(.*\n)*epoch 2)"
        r"(?=(.*\n)*Ann, token \d+: refused)(.*\n)+each token larger than the one before: True\n",
        "real-bars": r"(?=(.*\n)*Ann: has\()(?=(.*\n)*Bob: has\()(?=(.*\n)*Cleo: has\()",
    },
}
