"""The loopback model server, asked as any client asks it."""

from __future__ import annotations

import http.client
import json
from typing import Any

from model_server.server import ModelServer


def post(server: ModelServer, path: str, body: Any) -> tuple[int, dict[str, str], bytes]:
    """The status, the headers and the body of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()
