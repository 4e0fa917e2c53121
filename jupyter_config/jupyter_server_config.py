"""Settings of the course's Jupyter server: small messages to and from kernels leave at once, and what nbconvert does.

A click in a live view is answered by several small messages. By default the operating system holds a small message
back until the one before it was acknowledged, and the browser's side is in no hurry to acknowledge (Nagle's
algorithm meets delayed acknowledgements; RFC 896 and RFC 1122, 4.2.3.2). On one computer that made a click take
some 50 ms; without it, it takes some 10 ms.
"""

from functools import wraps

from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

_open = KernelWebsocketHandler.open


@wraps(_open)
async def open_without_delay(self, *args, **kwargs):
    self.set_nodelay(True)
    await _open(self, *args, **kwargs)


# The file may be read more than once.
if not hasattr(_open, "__wrapped__"):
    KernelWebsocketHandler.open = open_without_delay

load_subconfig("jupyter_nbconvert_config.py")  # noqa: F821
