"""The child program over a fake of the native library: what `Supervisor` tests start instead of llama.cpp.

The model file is JSON: {"load": [...]} with one word for each start ("ready", "refuse", "crash", "hang"; the
last one counts for all later starts).
"""

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: ClassVar[dict[str, Any]] = {}

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(b'{"status": "ok"}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != f"Bearer {self.script['key']}":
            self.send_error(401)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        event = b'data: {"content": "a", "tokens": [1], "stop": false}\n\n'
        self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.flush()
        time.sleep(60)

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server:
    def __init__(self, params: Any) -> None:
        model = Path(params.model.path)
        script = json.loads(model.read_text())
        counter = model.with_suffix(".starts")
        starts = len(counter.read_text()) if counter.exists() else 0
        counter.write_text("x" * (starts + 1))
        match script["load"][min(starts, len(script["load"]) - 1)]:
            case "refuse":
                raise RuntimeError("no such architecture")
            case "crash":
                print("/src/ggml.c:42: GGML_ASSERT(n > 0) failed", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGSEGV)
            case "hang":
                time.sleep(60)
        print("this goes to standard error", flush=True)
        Handler.script = {**script, "key": params.api_keys[0]}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.listening_address = f"http://127.0.0.1:{self._http.server_address[1]}"


if __name__ == "__main__":
    fake: Any = ModuleType("xllamacpp")
    fake.Server = Server
    fake.CommonParams = lambda: SimpleNamespace(
        model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace()
    )
    fake.CommonAdapterLoraInfo = SimpleNamespace
    sys.modules["xllamacpp"] = fake

    from malmoi.engine.llamacpp.child import main

    sys.exit(main())
