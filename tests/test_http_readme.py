"""The requests that README shows are answered as it says, by `curl` itself."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from pathlib import Path

import pytest

from gryadka.acceptors.servers import LocalCluster
from gryadka.http import Service, Store
from gryadka.http.records import ANSWERS, ANSWERS_BYTES

README = Path("README.md").read_text()
SHOWN = re.findall(r"^(curl .*?) +# (\d{3})\b", README, re.M)


@pytest.mark.platform
async def test_each_request_is_answered_as_readme_says(cluster: LocalCluster) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    assert [status for _, status in SHOWN] == ["201", "200", "412", "200", "204"]
    async with Service(Store(cluster.proposer())) as service:
        for line, status in SHOWN:
            words = shlex.split(line.replace("127.0.0.1:8080", service.url))
            words += ["-s", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}"]
            curl = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
            told, _ = await asyncio.wait_for(curl.communicate(), 30)
            assert told.decode() == status, line


def test_readme_tells_the_bound_on_answers() -> None:
    assert f"its last {ANSWERS} requests" in README and f"up to {ANSWERS_BYTES // 1024} KiB" in README
