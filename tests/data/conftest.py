"""A toy dataset whose every byte the tests know, and a loopback web server."""

import http.server
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for handmade.py

from handmade import Server, Toy, facts, idx


@pytest.fixture(autouse=True)
def _no_user_settings(monkeypatch):
    for name in ("GAUNTLET_DATA", "GAUNTLET_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def toy(tmp_path) -> Toy:
    random = np.random.default_rng(0)
    arrays = {
        "train_images": random.integers(0, 256, (6, 4, 3), np.uint8),
        "train_labels": np.array([0, 1, 1, 0, 1, 1], np.uint8),
        "test_images": random.integers(0, 256, (3, 4, 3), np.uint8),
        "test_labels": np.array([1, 0, 1], np.uint8),
    }
    files = {f"toy-{role}-idx": idx(array) for role, array in arrays.items()}
    fields = {
        "name": "toy",
        "title": "Toy",
        "reference": "handmade",
        "licence": "MIT",
        "terms": "vendor",
        "folder": "datasets/toy",
        "classes": ["zero", "one"],
        "shape": [1, 4, 3],
        "peak": 255,
        "counts": {"train": [2, 4], "test": [1, 2]},
        "reader": "idx",
        "files": {role: {"name": f"toy-{role}-idx", **facts(files[f"toy-{role}-idx"])} for role in arrays},
    }
    return Toy(files, fields, arrays)


@pytest.fixture
def server():
    content, requests = {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            body = content.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            if self.path.endswith("/"):  # pip reads an index page only when it is declared as HTML
                self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
        yield Server(f"http://127.0.0.1:{httpd.server_port}", content, requests)
        httpd.shutdown()
