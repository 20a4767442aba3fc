"""A real HTTP server that speaks the OpenAI chat-completions protocol, and what the tests of the LLM package share."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from dsl.text import plain_text
from search.llm.evidence import HeadEvidence

PROGRAM = "```pattern\nwhen dist == 1 add 0.6\nwhen k == 0 add 0.25\n```"
KEY = "marker-key-4711-secret"


class ChatServer:
    """Answers by model name: `script[model]` is called with (body, number of the call) and returns a Reply."""

    def __init__(self):
        self.script = {}
        self.requests = []  # bodies, in order of arrival
        self.ended = []  # models whose client went away
        self.now = self.most = 0  # calls under way
        self.lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                owner.serve(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def serve(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["content-length"])))
        model = body["model"]
        with self.lock:
            number = sum(r["model"] == model for r in self.requests)
            self.requests.append({**body, "authorization": handler.headers["authorization"]})
            self.now += 1
            self.most = max(self.most, self.now)
        reply = self.script.get(model, lambda body, number: answer())(body, number)
        with self.lock:
            if not reply.drip:
                self.now -= 1
        try:
            handler.send_response(reply.status)
            for name, value in {"content-type": "application/json", **reply.headers}.items():
                handler.send_header(name, value)
            handler.send_header("content-length", str(len(reply.body) + 1000 * reply.drip))
            handler.end_headers()
            for _ in range(1000 * reply.drip):  # slower than any timeout, but never silent
                handler.wfile.write(b" ")
                time.sleep(0.02)
            handler.wfile.write(reply.body)
        except OSError:
            self.ended.append(model)

    def count(self, model):
        return sum(r["model"] == model for r in self.requests)


class Reply:
    def __init__(self, body=b"", status=200, headers=(), drip=False):
        self.body, self.status, self.headers, self.drip = body, status, dict(headers), drip


def answer(text=PROGRAM, prompt=100, completion=20, usage=True, finish="stop", refusal=None):
    message = {"role": "assistant", "content": text, "refusal": refusal}
    body = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
    }
    if usage:
        body["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return Reply(json.dumps(body).encode())


def error(status, message, code=None, headers=()):
    return Reply(json.dumps({"error": {"message": message, "type": "error", "code": code}}).encode(), status, headers)


def previous_token_evidence(layer=0, head=0, causal=True, n_texts=3):
    """A head that attends to the previous token with .75 and to the first with .25."""
    texts = [plain_text(("<s>", " the", " cat", " sat", f" on{i}", ".", " the", " end", ".")) for i in range(n_texts)]
    matrices = []
    for text in texts:
        n = len(text)
        a = np.zeros((n, n))
        a[np.arange(1, n), np.arange(n - 1)] += 0.75
        a[:, 0] += 0.25
        a[0, 0] = 1
        matrices.append(a)
    return HeadEvidence(layer, head, causal, texts, matrices)
