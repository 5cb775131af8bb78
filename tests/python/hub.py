"""A stand-in for the hub of models: one repository with the hub's headers, weights on another port, and a line that breaks."""

import hashlib
import http.server
import json
import threading
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "org/tiny"


class Hub:
    """Serves the files of a folder as a repository; `breaks` answers of weights end half-way."""

    def __init__(self, folder, breaks=0):
        self.files = {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}
        self.breaks = breaks
        self.asked = []
        self.servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler()) for _ in range(2)]
        self.url, self.weights_url = (f"http://127.0.0.1:{server.server_port}" for server in self.servers)

    def __enter__(self):
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def handler(self):
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_HEAD(self):
                hub.answer(self, with_body=False)

            def do_GET(self):
                hub.answer(self, with_body=True)

        return Handler

    def answer(self, request, with_body):
        """Answers as the hub does: a listing, small files, or the way to the weights."""
        path = request.path.split("?")[0]
        self.asked.append((request.command, path, request.headers.get("Range"), request.headers.get("Authorization")))
        if path.startswith(f"/api/models/{REPOSITORY}"):
            listing = {"sha": COMMIT, "siblings": [{"rfilename": name, "size": len(self.files[name])} for name in self.files]}
            return self.send(request, 200, {"Content-Type": "application/json"}, json.dumps(listing).encode(), with_body)
        name = path.rsplit("/", 1)[1]
        if name not in self.files:
            return self.send(request, 404, {"X-Error-Code": "EntryNotFound"}, b"", with_body)
        body = self.files[name]
        if path.startswith("/weights/"):
            return self.weights(request, body, with_body)
        head = {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if not name.endswith(".safetensors"):
            head["ETag"] = f'"{hashlib.sha1(body).hexdigest()}"'
            return self.send(request, 200, head, body, with_body)
        head["X-Linked-ETag"] = f'"{hashlib.sha256(body).hexdigest()}"'
        head["X-Linked-Size"] = str(len(body))
        head["Location"] = f"{self.weights_url}/weights/{name}"
        return self.send(request, 302, head, b"", with_body)

    def weights(self, request, body, with_body):
        """The weights, from where the request wants them; at first the line breaks half-way."""
        wanted = request.headers.get("Range")
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        part = body[start:]
        head = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"', "Accept-Ranges": "bytes"}
        if wanted:
            head["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        if with_body and self.breaks > 0:
            self.breaks -= 1
            request.send_response(206 if wanted else 200)
            for key, value in {**head, "Content-Length": str(len(part))}.items():
                request.send_header(key, value)
            request.end_headers()
            request.wfile.write(part[: len(part) // 2])
            request.close_connection = True
            return
        self.send(request, 206 if wanted else 200, head, part, with_body)

    @staticmethod
    def send(request, status, head, body, with_body):
        """One whole answer."""
        request.send_response(status)
        for key, value in {**head, "Content-Length": str(len(body))}.items():
            request.send_header(key, value)
        request.end_headers()
        if with_body:
            request.wfile.write(body)
