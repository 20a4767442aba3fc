"""The bytes between the caller, the zygote and a worker. No pickle: fixed-size heads, JSON inwards, raw floats outwards.

Caller to zygote (a socket): HEAD(kind, length) and a payload; RUN carries the write end of the result pipe.
Zygote to caller: HELLO (JSON), STATUS (the wait status of the worker that STOP ended).
Worker to caller (the result pipe): HEAD and MATRIX (seconds, n * n floats), FAILURE (outcome, ASCII) or DONE.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sandbox.result import Outcome

if TYPE_CHECKING:
    from dsl.text import Text

HEAD = struct.Struct("<BI")
SECONDS = struct.Struct("<d")
STATUS_CODE = struct.Struct("<i")
TEXTS, RUN, STOP, FORGET, HELLO, STATUS = range(1, 7)
MATRIX, FAILURE, DONE = range(11, 14)
OUTCOMES: tuple[Outcome, ...] = ("ok", "refused", "error", "time", "memory", "invalid")
MEMORY_EXIT = 77  # a worker too short of memory to say so leaves with this exit code

WORD_FIELDS = (
    "text", "idx", "lemma", "pos", "tag", "dep", "head", "ent_type", "ent_iob", "morph", "shape", "whitespace", "sent",
    "is_sent_start", "is_stop", "is_punct", "is_space", "like_num",
)  # fmt: skip


def encode_text(text: Text) -> bytes:
    """One text as plain data: the length of the JSON, the JSON, and the n * n float32 similarities."""
    import numpy as np

    plain = {
        "text": text.text,
        "tokens": text.pieces,  # what a tokenizer gives
        "ids": [int(i) for i in text.ids],
        "offsets": [[int(a), int(b)] for a, b in text.offsets],
        "special": [bool(s) for s in text.special],
        "word_start": [bool(s) for s in text.word_start],
        "alignment": [[int(w) for w in words] for words in text.alignment],
        "annotated": bool(text.annotated),
        "words": [{name: getattr(word, name) for name in WORD_FIELDS} for word in text.words],
    }
    if text.encoding is not None:
        plain["encoding"] = asdict(text.encoding)
    head = json.dumps(plain).encode()  # ASCII: lone surrogates survive as escapes
    return struct.pack("<I", len(head)) + head + np.ascontiguousarray(text.similarity, dtype="<f4").tobytes()


def decode_text(payload: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON object and the similarity bytes of encode_text."""
    (size,) = struct.unpack_from("<I", payload)
    return json.loads(payload[4 : 4 + size]), payload[4 + size :]


def encode_run(numbers: Sequence[int], memory_mb: int, cpu_seconds: float, source: bytes) -> bytes:
    head = json.dumps({"texts": list(numbers), "memory_mb": memory_mb, "cpu_seconds": cpu_seconds}).encode()
    return struct.pack("<I", len(head)) + head + source


def decode_run(payload: bytes) -> tuple[dict[str, Any], str]:
    head, source = decode_text(payload)
    return head, source.decode("utf-8")


def send(sock: socket.socket, kind: int, payload: bytes = b"", fd: int | None = None) -> None:
    head = HEAD.pack(kind, len(payload))
    if fd is None:
        sock.sendall(head + payload)
    else:
        socket.send_fds(sock, [head], [fd])
        sock.sendall(payload)


def receive(sock: socket.socket) -> tuple[int, bytes, int | None]:
    """The next message and the file descriptor that came with it. Raises EOFError when the other side is gone."""
    head, fds, _, _ = socket.recv_fds(sock, HEAD.size, 1)
    fd = fds[0] if fds else None
    if len(head) < HEAD.size:
        head += receive_exactly(sock, HEAD.size - len(head)) if head else receive_exactly(sock, HEAD.size)
    kind, length = HEAD.unpack(head)
    return kind, receive_exactly(sock, length), fd


def receive_exactly(sock: socket.socket, length: int) -> bytes:
    buffer = bytearray()
    while len(buffer) < length:
        piece = sock.recv(min(length - len(buffer), 1 << 20))
        if not piece:
            raise EOFError("the other side closed the connection")
        buffer += piece
    return bytes(buffer)
