"""The settings that `make lab` gives to the Jupyter server."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

CONFIG = Path("jupyter_config/jupyter_server_config.py")


class Socket:
    """What `open` needs of a websocket; it takes notes."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def set_nodelay(self, on: bool) -> None:
        self.calls.append(("nodelay", on))


async def test_a_kernels_websocket_sends_small_messages_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def opened(socket: Socket, kernel_id: str) -> None:
        socket.calls.append(kernel_id)

    monkeypatch.setattr(KernelWebsocketHandler, "open", opened)
    for _ in range(2):  # a server may read its settings twice
        runpy.run_path(str(CONFIG))
    socket = Socket()
    await KernelWebsocketHandler.open(socket, "a-kernel")  # type: ignore[arg-type]
    assert socket.calls == [("nodelay", True), "a-kernel"]
