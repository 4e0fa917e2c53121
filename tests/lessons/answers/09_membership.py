"""Answers to lesson 09: see tests/lessons/runner.py for the form of this file."""


def plan(*steps: str) -> str:
    return f'PLAN = "{"; ".join(steps)}"'


RIGHT = {"build-plan": plan("start D", "adopt A B C D", "rescan", "adopt A B D", "stop C")}

MISS = "the prepare quorum {A, D} and the accept quorum {B, C} miss each other"

WRONG = {
    "build-plan": {
        "goes straight there": (
            plan("start D", "adopt A B D", "stop C"),
            f"some proposers still work with the members before, and {MISS}",
        ),
        "forgets the rescan, by way of four": (
            plan("start D", "adopt A B C D", "adopt A B D"),
            f"a record may still be where an earlier quorum accepted it, and {MISS}",
        ),
        "forgets the rescan, by way of two": (
            plan("adopt A B", "stop C", "start D", "adopt A B D"),
            f"a record may still be where an earlier quorum accepted it, and {MISS}",
        ),
        "rescans before the others are members": (
            plan("start D", "rescan", "adopt A B C D", "adopt A B D"),
            "step 4, adopt any 2 of A, B, D",
        ),
        "rescans when all is over": (
            plan("start D", "adopt A B C D", "adopt A B D", "rescan"),
            "step 3, adopt any 2 of A, B, D",
        ),
        "forgets to start the newcomer": (plan("adopt A B C D", "rescan", "adopt A B D"), "D was not started"),
        "puts an empty server in the dead one's place": (
            plan("start C", "adopt A B C"),
            "C is a member, and an empty server under its name would have forgotten what it promised",
        ),
        "counts on the dead one": (plan("adopt B C", "rescan"), "that takes C, which is dead"),
        "stops at four": (plan("start D", "adopt A B C D", "rescan"), "in the end the members are A, B, C, D"),
        "is content with two": (plan("adopt A B", "rescan", "stop C"), "in the end the members are A, B; they should"),
        "lets go too early": (plan("stop C", "start D", "adopt A B D"), "step 1, stop C: C is still a member"),
        "copies to somebody who is not there yet": (
            plan("copy to D", "start D", "adopt A B D"),
            "some proposers still work with the members before",
        ),
        "kills": (plan("kill C"), "step 1 is 'kill C'; a step looks like one of these, without a number: start D"),
        "numbers the steps": (plan("1. start D"), "step 1 is '1. start D'; a step looks like one of these, without"),
        "rescans all": (plan("rescan all"), "in the end the members are A, B, C; they should be A, B, D"),
        "invites a fifth": (plan("start E", "adopt A B E"), "nobody is called 'E'; there are A, B, C and D"),
        "names one twice": (plan("start D", "adopt A A D"), "an acceptor is named twice, and would vote twice"),
        "is not text": ("PLAN = 3", "a plan is text, a step a line, such as 'start D', not 3"),
    },
}
