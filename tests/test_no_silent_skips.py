"""Runs pytest in a process of its own on small test files, with and without CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import no_silent_skips

SKIPS = {
    "in the test": "def test(): pytest.skip('no browser')",
    "by a mark": "@pytest.mark.skip(reason='no browser')\ndef test(): pass",
    "no parameters": "@pytest.mark.parametrize('x', [])\ndef test(x): pass",
    "the whole module": "pytest.skip('no browser', allow_module_level=True)",
    "no import": "pytest.importorskip('no_such_module')",
    "in a fixture": "@pytest.fixture\ndef browser(): pytest.skip('no')\ndef test(browser): pass",
}
GOOD = {
    "a pass": "def test(): pass",
    "an expected failure": "@pytest.mark.xfail\ndef test(): assert False",
    "a platform": "@pytest.mark.platform\ndef test(): pytest.skip('no such system call')",
}


def run_pytest(folder: Path, code: str, ci: str) -> subprocess.CompletedProcess[str]:
    """Run `code` as a test file in `folder`, with the hooks of this project."""
    (folder / "conftest.py").write_text(Path(no_silent_skips.__file__).read_text(), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = platform\n", encoding="utf-8")
    # A test beside it passes, so that the run never ends as "no tests".
    (folder / "test_it.py").write_text(f"import pytest\n\n{code}\n", encoding="utf-8")
    (folder / "test_other.py").write_text("def test_passes(): pass\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:valkey", "-p", "no:cacheprovider", folder]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=os.environ | {"CI": ci})


@pytest.mark.slow
@pytest.mark.parametrize("code", SKIPS.values(), ids=SKIPS)
def test_a_skip_fails_under_ci_and_only_there(tmp_path: Path, code: str) -> None:
    under_ci = run_pytest(tmp_path, code, ci="true")
    assert under_ci.returncode != 0
    assert "Nothing may skip under CI" in under_ci.stdout
    assert run_pytest(tmp_path, code, ci="").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("code", GOOD.values(), ids=GOOD)
def test_what_is_no_silent_skip_stays_green_under_ci(tmp_path: Path, code: str) -> None:
    done = run_pytest(tmp_path, code, ci="true")
    assert done.returncode == 0, done.stdout
    assert " failed" not in done.stdout
