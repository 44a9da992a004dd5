"""A small real HTTP server on this machine that speaks OpenAI's chat protocol, well or badly, as a test wants it."""

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def completion(text, finish="stop", usage=(5, 2)):
    """A chat completion as the protocol has it; `usage`: (prompt, completion) tokens, or None."""
    record = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}]}
    if usage:
        record["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return record


class Answer:
    """What the server does with one request.

    body: an object (sent as JSON) or bytes. cut: the header promises more bytes than are sent. delay: seconds before it.
    """

    def __init__(self, body, status=200, kind="application/json", headers=(), cut=0, delay=0.0):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.kind, self.headers, self.cut, self.delay = status, kind, dict(headers), cut, delay


class ChatServer:
    """`with ChatServer(answer, answer, ...) as server`: answers in this order, the last one for ever.

    An answer is an Answer, a text (a good completion) or a function (request, headers) -> one of these. `requests` and
    `headers` are what was received, in order; `url` is the base_url.
    """

    def __init__(self, *answers):
        self.answers, self.requests, self.headers = list(answers), [], []
        self._lock, server = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                server._serve(self)

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def _serve(self, handler):
        request = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        with self._lock:
            self.requests.append(request)
            self.headers.append(dict(handler.headers))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer(request, dict(handler.headers))
        if isinstance(answer, str):
            answer = Answer(completion(answer))
        time.sleep(answer.delay)
        try:
            handler.send_response(answer.status)
            for name, value in {"content-type": answer.kind, "content-length": len(answer.body) + answer.cut,
                                **answer.headers}.items():
                handler.send_header(name, str(value))
            handler.end_headers()
            handler.wfile.write(answer.body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client had enough
        if answer.cut:
            handler.close_connection = True

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self._http.shutdown()
        self._http.server_close()


def free_port():
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
