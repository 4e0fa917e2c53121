"""What the tests need from the machine besides Python: a browser, and a locale that is not C.

    python tools/machine.py    look for both, and install what is missing where that is possible

The tests take both from `find_browser` and `find_locale`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC_BROWSERS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
PREFERRED_LOCALES = ("tr_TR", "en_US")

PLAYWRIGHT_BROWSER = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""
# In the C locale every capital comes before every small letter.
COLLATES = "import locale; locale.setlocale(locale.LC_ALL, ''); assert locale.strcoll('a', 'B') < 0"

NO_BROWSER = """\
The browser tests need Chromium or Chrome, and it could not be installed from here.
Install it and run the command again:
  Debian            sudo apt install chromium
  Ubuntu and macOS  .venv/bin/python -m playwright install --with-deps chromium
The fast tests, `make quick`, need no browser."""

NO_LOCALE = """\
No locale but C sorts text here, so the test of servers in another locale cannot run.
On Debian and Ubuntu: sudo apt install locales && sudo localedef -i en_US -f UTF-8 en_US.UTF-8"""


def find_browser() -> str | None:
    """Path of a Chromium or Chrome that starts: the system's, or else Playwright's own."""
    installed = [path for name in BROWSERS if (path := shutil.which(name))]
    # Ubuntu has a chromium-browser that only says which snap to install, hence the trial.
    for path in [*installed, *MAC_BROWSERS]:
        if _succeeds(path, "--version"):
            return path
    downloaded = _output(sys.executable, "-c", PLAYWRIGHT_BROWSER).strip()
    return downloaded if downloaded and Path(downloaded).exists() else None


def find_locale() -> str | None:
    """A value for LC_ALL under which text sorts otherwise than under C; UTF-8."""
    names = [name for name in _output("locale", "-a").split() if name.lower().endswith(("utf8", "utf-8"))]
    names.sort(key=lambda name: (not name.startswith(PREFERRED_LOCALES), name))
    for name in names:
        if _succeeds(sys.executable, "-c", COLLATES, LC_ALL=name):
            return name
    return None


def install_browser() -> None:
    """Try Debian's package, then Playwright's download."""
    root = _as_root()
    if shutil.which("apt-get") and root is not None:
        _apt_install(root, "chromium")
    if find_browser() is None:
        system_libraries = ["--with-deps"] if sys.platform == "linux" and root is not None else []
        _run(sys.executable, "-m", "playwright", "install", *system_libraries, "chromium")


def install_locale() -> None:
    """Make the en_US locale, on Debian and its kin."""
    root = _as_root()
    if shutil.which("apt-get") and root is not None:
        _apt_install(root, "locales")
        _run(*root, "localedef", "-i", "en_US", "-f", "UTF-8", "en_US.UTF-8")


def _as_root() -> list[str] | None:
    """The words that go before a command to run it as root without a password; None if none do."""
    if os.geteuid() == 0:
        return []
    return ["sudo", "-n"] if _succeeds("sudo", "-n", "true") else None


def _apt_install(root: list[str], package: str) -> None:
    _run(*root, "apt-get", "update", "-q")
    install = ("apt-get", "install", "-q", "-y", "--no-install-recommends", package)
    _run(*root, "env", "DEBIAN_FRONTEND=noninteractive", *install)


def _run(*command: str) -> None:
    print("+", *command, flush=True)
    subprocess.run(command, check=False)


def _succeeds(*command: str, **environment: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, env=os.environ | environment)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def main() -> int:
    if find_locale() is None:
        install_locale()
        if find_locale() is None:
            print(NO_LOCALE, file=sys.stderr)
    if find_browser() is None:
        install_browser()
        if find_browser() is None:
            print(NO_BROWSER, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
