"""Where a rule leaves a choice, a lesson's checks take each sound answer: ALSO_RIGHT in tests/lessons/answers."""

import runpy
from pathlib import Path

import pytest

from tests.lessons.runner import answers, session

ALSO_RIGHT = {
    path.stem: found["ALSO_RIGHT"]
    for path in sorted((Path(__file__).parent / "lessons" / "answers").glob("*.py"))
    if "ALSO_RIGHT" in (found := runpy.run_path(str(path)))
}


def test_the_lesson_on_promises_has_a_choice() -> None:
    assert set(ALSO_RIGHT["02_promises"]) == {"build-prepare"}


@pytest.mark.slow
@pytest.mark.parametrize("lesson", ALSO_RIGHT)
def test_the_other_sound_answers_pass(lesson: str, tmp_path: Path) -> None:
    with session(lesson, tmp_path, "fakeredis") as kernel:
        kernel.run_all(but="start-again")
        verdicts = kernel.try_answers(answers(lesson)[0] | ALSO_RIGHT[lesson])
        kernel.run("start-again")
    assert verdicts
    assert [verdict for verdict in verdicts if not verdict.startswith("✓ ")] == []
