"""Answers to lesson 01: see tests/lessons/runner.py for the form of this file."""


def schedule(steps: str) -> str:
    return f'SCHEDULE = "{steps}"'


RIGHT = {
    "build-schedule": schedule(
        "Ann asks A, Ann asks B, Bob asks B, Bob asks C, Ann stores A, Ann stores B, Bob stores B, Bob stores C"
    ),
}

WRONG = {
    "build-schedule": {
        "one after the other": (
            schedule(
                "Ann asks A, Ann asks B, Ann stores A, Ann stores B, Bob asks A, Bob asks C, Bob stores A, Bob stores C"
            ),
            "nothing is lost: Ann was told [milk] and Bob was told [milk, bread]",
        ),
        "Bob overwrites, and is not done": (
            schedule("Ann asks A, Ann asks B, Bob asks A, Bob asks B, Ann stores A, Ann stores B, Bob stores B"),
            "nothing is lost: Ann was told [milk] and Bob is not done",
        ),
        "Bob hears of a list that is half stored": (
            schedule(
                "Ann asks A, Ann asks B, Ann stores A, Bob asks A, Bob asks C, Bob stores A, Bob stores C, Ann stores C"
            ),
            "nothing is lost: Ann was told [milk] and Bob was told [milk, bread]",
        ),
        "stores after one answer": (
            schedule("Ann asks A, Bob asks B, Ann stores A, Ann stores B, Bob stores B, Bob stores C"),
            "step 3 cannot happen: Ann has only 1 of 2 answers, and cannot store yet",
        ),
        "asks all three": (
            schedule("Ann asks A, Ann asks B, Ann asks C, Bob asks A"),
            "step 3 cannot happen: Ann has 2 answers, and asks no more",
        ),
        "stores twice at one server": (
            schedule("Ann asks A, Ann asks B, Bob asks A, Bob asks B, Ann stores A, Ann stores A"),
            "step 6 cannot happen: Ann has stored at A before",
        ),
        "says writes": (
            schedule("Ann asks A, Ann asks B, Ann writes A"),
            "step 3 cannot happen: Ann cannot do 'writes'; a step says asks or stores",
        ),
        "has a step of four words": (
            schedule("Ann asks A, Ann asks B, Bob asks B and C"),
            "step 3 is 'Bob asks B and C'; a step has three words, such as: Ann asks A",
        ),
        "invites somebody else": (
            schedule("Ann asks A, Cleo asks A"),
            "step 2 cannot happen: nobody is called 'Cleo' here; there are Ann, Bob",
        ),
        "has a fourth server": (
            schedule("Ann asks A, Ann asks D"),
            "step 2 cannot happen: there is no server 'D'; there are A, B, C",
        ),
        "is not text": ("SCHEDULE = 8", "a schedule is text, such as 'Ann asks A, Ann asks B', not 8"),
    },
}
