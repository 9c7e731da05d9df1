"""A web server on this machine whose faults a test chooses, and the real data sets where they are."""

import http.server
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Site:
    """What a server holds and how it fails. files: path -> content. cuts: bytes after which each next answer breaks off."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    requests: list[tuple[str, str | None]] = field(default_factory=list)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        site, range_ = self.server.site, self.headers["Range"]
        site.requests.append((self.path, range_))
        if self.path not in site.files:
            self.send_error(404)
            return
        content = site.files[self.path]
        start = (
            int(range_.removeprefix("bytes=").removesuffix("-")) if range_ and site.ranges else 0
        )
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: site.cuts.pop(0) if site.cuts else None])
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.site = Site(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.site
        server.shutdown()
        thread.join()


@pytest.fixture
def real():
    """real(name): the path of a real data file, or a skipped test."""

    def find(name):
        folder = os.environ.get("MIA_PRUNING_TEST_DATA")
        if not folder or not (Path(folder) / name).is_file():
            pytest.skip(f"MIA_PRUNING_TEST_DATA names no folder with {name}")
        return Path(folder) / name

    return find
