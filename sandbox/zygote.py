"""The warm process: holds numpy, the policy and the prepared texts, and forks one locked worker per program.

It never runs a program itself and never looks at its source. Started by worker.py with a clean environment (see
worker.BOOT). It ends when the other end of its socket closes.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import warnings
from typing import Any, NoReturn

import numpy as np

from sandbox import wire
from sandbox.candidate import run_candidate
from sandbox.environment import Inputs
from sandbox.lockdown import RESULT_FD, STAYED, Lockdown, report

LOADED_LATE = ("unicodedata", "encodings.ascii", "encodings.latin_1", "encodings.utf_16", "numpy.linalg", "numpy.char", "numpy.ma")
FILES = 64  # no file descriptor of this process is higher


def main(fd: int, layers: str) -> None:
    """Serves on the socket fd; layers: names of the kernel's layers, separated by commas."""
    sock = socket.socket(fileno=fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    np.seterr(all="ignore")
    warnings.simplefilter("ignore")
    for module in LOADED_LATE:
        importlib.import_module(module)
    np.random.default_rng(0)
    lockdown = Lockdown(tuple(layers.split(",")))
    hello = json.dumps(self_test(lockdown)).encode()
    devnull = os.open(os.devnull, os.O_RDWR)
    os.dup2(devnull, 2)
    wire.send(sock, wire.HELLO, hello)
    gc.collect()
    gc.freeze()
    with contextlib.suppress(EOFError, OSError):  # the caller is gone
        serve(sock, lockdown)


def serve(sock: socket.socket, lockdown: Lockdown) -> None:
    texts: dict[int, Inputs | Exception] = {}
    worker = 0
    parent = os.getppid()
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    try:
        while True:
            while not poll.poll(10_000):
                if os.getppid() != parent:  # its socket may live on in a process it forked
                    return
            kind, payload, fd = wire.receive(sock)
            if kind == wire.TEXTS:
                texts[len(texts)] = prepared(payload)
                gc.freeze()
            elif kind == wire.FORGET:
                texts.clear()
            elif kind == wire.RUN and fd is not None:
                head, source = wire.decode_run(payload)
                chosen = [texts[number] for number in head["texts"]]
                worker = os.fork()
                if worker == 0:
                    become_worker(lockdown, fd, head, source, chosen)
                os.close(fd)
            elif kind == wire.STOP:
                worker, status = 0, end(worker)
                wire.send(sock, wire.STATUS, wire.STATUS_CODE.pack(status))
    finally:
        if worker:
            end(worker)


def prepared(payload: bytes) -> Inputs | Exception:
    """The text ready for use, or why it cannot be used: a malformed text must not end the zygote."""
    try:
        return Inputs(*wire.decode_text(payload))
    except (ValueError, IndexError, KeyError, TypeError) as error:
        return error


def end(worker: int) -> int:
    """Kills a worker, dead or alive (it is not reaped yet, so the number is its own), and returns its wait status."""
    os.kill(worker, signal.SIGKILL)
    return os.waitpid(worker, 0)[1]


def become_worker(lockdown: Lockdown, fd: int, head: dict[str, Any], source: str, texts: list[Inputs | Exception]) -> NoReturn:
    """In the forked child: keeps only the result pipe, locks itself, runs the program, leaves."""
    try:
        keep_only(fd)
        lockdown.enter(head["memory_mb"], head["cpu_seconds"])
        run_candidate(source, texts)
    finally:
        os._exit(0)


def keep_only(fd: int) -> None:
    """Moves fd to RESULT_FD and closes every other file except the three that lead to /dev/null."""
    if fd != RESULT_FD:
        os.dup2(fd, RESULT_FD)
    os.closerange(RESULT_FD + 1, FILES)


def self_test(lockdown: Lockdown) -> dict[str, list[str]]:
    """What a throw-away worker says: the layers that took hold, and what it could do all the same."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            keep_only(writer)
            report(lockdown.enter(512, 10))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        answer, _, last = file.read().partition(b"\n")
    os.waitpid(child, 0)
    found = json.loads(answer) if answer else {"layers": [], "breaches": ["dies in its self-test"]}
    if last != STAYED:
        found["breaches"].append("runs programs")
    return found
