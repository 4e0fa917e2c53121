"""The set-up of the machine, on machines made up of a PATH with a few fake programs on it."""

import os
import sys
from pathlib import Path

import pytest

from tools import machine


class FakeMachine:
    """A machine whose PATH is one folder; what its fake programs were asked is in `log`."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log_file = folder / "log"

    @property
    def log(self) -> list[str]:
        return self.log_file.read_text(encoding="utf-8").splitlines() if self.log_file.exists() else []

    def program(self, name: str, body: str = "") -> Path:
        """Put a program on the PATH; it logs how it was called, and then does `body`."""
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >>{self.log_file}\n{body}\n', encoding="utf-8")
        path.chmod(0o755)
        return path

    def apt_get(self, *, installs: str = "") -> None:
        self.program("env", 'shift; exec "$@"')
        make = f"printf '#!/bin/sh\\nexit 0\\n' >{self.bin}/{installs}; /bin/chmod +x {self.bin}/{installs}"
        self.program("apt-get", f'case "$*" in *install*) {make if installs else "exit 100"};; esac')


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    fake = FakeMachine(tmp_path)
    # The real Python runs only what asks for a locale; Playwright is a fake program as well.
    python = fake.program("python", 'case "$*" in *"playwright install"*) exit 1;; esac')
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PATH", str(fake.bin))
    monkeypatch.setattr(machine, "MAC_BROWSERS", ())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return fake


@pytest.mark.parametrize("name", machine.BROWSERS)
def test_a_browser_on_the_path_is_found(fake: FakeMachine, name: str) -> None:
    assert machine.find_browser() is None
    path = fake.program(name)
    assert machine.find_browser() == str(path)


def test_a_browser_that_does_not_start_is_passed_over(fake: FakeMachine) -> None:
    fake.program("chromium-browser", "exit 1")
    assert machine.find_browser() is None
    chrome = fake.program("google-chrome")
    assert machine.find_browser() == str(chrome)


def test_a_browser_is_found_among_the_applications_of_a_mac(fake: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    application = fake.program("Google Chrome")
    monkeypatch.setattr(machine, "MAC_BROWSERS", (str(application),))
    assert machine.find_browser() == str(application)


def test_nothing_is_installed_when_nothing_is_missing(fake: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_locale", lambda: "en_US.utf8")
    fake.program("chromium")
    fake.apt_get()
    assert machine.main() == 0
    assert not any("install" in line for line in fake.log)


def test_root_on_debian_gets_the_package(fake: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "find_locale", lambda: "en_US.utf8")
    fake.apt_get(installs="chromium")
    assert machine.main() == 0
    assert [line for line in fake.log if line.startswith("apt-get")] == [
        "apt-get update -q",
        "apt-get install -q -y --no-install-recommends chromium",
    ]
    assert not any("playwright install" in line for line in fake.log)


def test_sudo_without_a_password_does_as_well(fake: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    fake.apt_get(installs="chromium")
    fake.program("sudo", 'shift; [ "$1" = true ] || exec "$@"')
    machine.install_browser()
    assert "sudo -n apt-get update -q" in fake.log
    assert machine.find_browser() == str(fake.bin / "chromium")


def test_without_root_apt_is_left_alone_and_playwright_asked(
    fake: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    fake.apt_get(installs="chromium")
    fake.program("sudo", "exit 1")
    machine.install_browser()
    assert not any(line.startswith("apt-get") for line in fake.log)
    assert "python -m playwright install chromium" in fake.log


def test_where_the_package_does_not_exist_playwright_is_asked(
    fake: FakeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    fake.apt_get(installs="")
    machine.install_browser()
    assert "python -m playwright install --with-deps chromium" in fake.log


def test_a_download_of_playwright_is_found(fake: FakeMachine) -> None:
    download = fake.bin.parent / "chrome"
    fake.program("python", f"echo {download}")
    assert machine.find_browser() is None
    download.touch()
    assert machine.find_browser() == str(download)


def test_a_browser_that_cannot_be_had_is_an_error_that_says_what_to_do(
    fake: FakeMachine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "find_locale", lambda: "en_US.utf8")
    assert machine.main() == 1
    assert "sudo apt install chromium" in capfd.readouterr().err


def test_a_locale_is_made_on_debian(fake: FakeMachine) -> None:
    assert machine.find_locale() is None
    fake.apt_get(installs="unused")
    fake.program("localedef", f"echo C.utf8 >{fake.bin}/list; echo en_US.utf8 >>{fake.bin}/list")
    fake.program("locale", f"/bin/cat {fake.bin}/list")
    machine.install_locale()
    assert "localedef -i en_US -f UTF-8 en_US.UTF-8" in fake.log
    fake.program("python", '[ "$LC_ALL" = en_US.utf8 ]')
    assert machine.find_locale() == "en_US.utf8"


def test_a_locale_counts_only_if_it_sorts_otherwise_than_c(fake: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    bytewise = {"LC_ALL": "C.UTF-8"}
    assert not machine._succeeds(sys.executable, "-c", machine.COLLATES, **bytewise)
