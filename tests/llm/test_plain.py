"""The provider of the plugin guide keeps the contract."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from muster_plain import PlainProvider

from contracts.llm import SAID, ProviderContract
from muster.llm.base import Named


class Service(BaseHTTPRequestHandler):
    def log_message(self, format, *args):
        pass

    def do_GET(self):
        self.answer({"ready": True})

    def do_POST(self):
        assert "prompt" in json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({"text": SAID})

    def answer(self, told):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())


class TestThePlainProviderKeepsTheContract(ProviderContract):
    embeds = False
    counts = False

    @pytest.fixture
    def kind(self):
        return PlainProvider

    @pytest.fixture
    def named(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Named("plain", "any", f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        server.server_close()
        thread.join()
