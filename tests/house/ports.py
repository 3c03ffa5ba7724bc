"""A port for a server that is to come back at the same place."""

from __future__ import annotations

import random
import socket

_BELOW_WHAT_THE_KERNEL_GIVES_AWAY = range(12_000, 32_000)


def free_port() -> int:
    """One that nobody listens on, and that the kernel gives to nobody who asks for any."""
    draw = random.SystemRandom()
    while True:
        port = draw.choice(_BELOW_WHAT_THE_KERNEL_GIVES_AWAY)
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
