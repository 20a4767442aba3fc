"""The caller's end of one zygote: start it, send it texts and programs, read and check what its workers write."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import wire
from sandbox.result import Limits, Outcome, Result, SandboxError, one_line

if TYPE_CHECKING:
    import numpy as np

    from dsl.text import Text

START_SECONDS = 60.0
KEPT_TEXTS = 1024  # a zygote forgets its texts beyond this many
BOOT = "import sys; sys.path[:] = sys.argv[3:]; from sandbox.zygote import main; main(int(sys.argv[1]), sys.argv[2])"
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


class WorkerDied(Exception):
    """The zygote or the worker was ended from outside; the program may be run again."""


@dataclass(frozen=True)
class Isolation:
    """What a zygote's self-test found: the layers that hold, and what a worker can do that it should not."""

    layers: tuple[str, ...]
    breaches: tuple[str, ...]

    @property
    def tier(self) -> str:
        """ "kernel" when the kernel keeps a worker from files, network and processes, else "process"."""
        return "kernel" if "seccomp" in self.layers and not self.breaches else "process"


class Zygote:
    """One warm process; one program at a time."""

    def __init__(self, layers: Sequence[str]):
        mine, theirs = socket.socketpair()
        paths = [str(Path(__file__).parents[1]), *(p for p in sys.path if p)]
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", BOOT, str(theirs.fileno()), ",".join(layers), *paths],
                pass_fds=(theirs.fileno(),),
                env=ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        self.socket = mine
        self.numbers: dict[Text, int] = {}
        self.socket.settimeout(START_SECONDS)
        try:
            _, hello, _ = wire.receive(self.socket)
        except (EOFError, OSError):
            self.process.kill()
            _, complaint = self.process.communicate()
            last = complaint.decode("ascii", "replace").strip().rpartition("\n")[2] or "no message"
            self.close()
            raise SandboxError(f"the sandbox's worker process did not start: {last}") from None
        assert self.process.stderr is not None
        self.process.stderr.close()
        found = json.loads(hello)
        self.isolation = Isolation(tuple(found["layers"]), tuple(found["breaches"]))

    def run(self, source: bytes, texts: Sequence[Text], limits: Limits) -> tuple[Outcome, str, list[np.ndarray], float]:
        """Outcome, reason, raw matrices and seconds of the calls. Raises WorkerDied when killed from outside."""
        reader, writer = wide_pipe()
        try:
            try:
                numbers = self._known(texts)
                payload = wire.encode_run(numbers, limits.memory_mb, limits.cpu_seconds, source)
                wire.send(self.socket, wire.RUN, payload, writer)
            finally:
                os.close(writer)
            deadline = time.monotonic() + limits.seconds
            answer = Answer([len(text) for text in texts])
            ended = answer.read(reader, deadline)
            wire.send(self.socket, wire.STOP)
            kind, status, _ = wire.receive(self.socket)
            if kind != wire.STATUS:
                raise WorkerDied("the zygote answered out of turn")
        except (EOFError, OSError) as error:
            raise WorkerDied("the zygote is gone") from error
        finally:
            os.close(reader)
        if ended == "time":
            return "time", f"over the limit of {limits.seconds:g} seconds", [], answer.seconds
        if ended == "pipe closed":
            outcome, reason = cause_of_death(wire.STATUS_CODE.unpack(status)[0], limits)
            return outcome, reason, [], answer.seconds
        return answer.outcome, answer.reason, answer.matrices, answer.seconds

    def _known(self, texts: Sequence[Text]) -> list[int]:
        """Numbers under which the zygote knows the texts; sends those that it does not know yet."""
        new = [text for text in dict.fromkeys(texts) if text not in self.numbers]
        if len(self.numbers) + len(new) > KEPT_TEXTS and self.numbers:
            wire.send(self.socket, wire.FORGET)
            self.numbers.clear()
            new = list(dict.fromkeys(texts))
        for text in new:
            wire.send(self.socket, wire.TEXTS, wire.encode_text(text))
            self.numbers[text] = len(self.numbers)
        return [self.numbers[text] for text in texts]

    def alive(self) -> bool:
        return self.process.poll() is None

    def close(self) -> None:
        """Ends the zygote and, with it, its worker."""
        self.socket.close()
        try:
            self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Answer:
    """Reads the frames of one worker; anything but the expected frames ends the reading as a failure."""

    def __init__(self, sizes: Sequence[int]):
        self.sizes = sizes
        self.outcome: Outcome = "error"
        self.reason = ""
        self.matrices: list[np.ndarray] = []
        self.seconds = 0.0
        self.buffer = bytearray()

    def read(self, reader: int, deadline: float) -> str:
        """ "done", "time" at the deadline, or "pipe closed" when the worker died without a last word."""
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return "time"
            piece = os.read(reader, 1 << 20)
            if not piece:
                return "pipe closed"
            self.buffer += piece
            while (frame := self._frame()) is not None:
                if self._take(*frame):
                    return "done"

    def _frame(self) -> tuple[int, bytes] | None:
        """The next whole frame; a head that announces a wrong length counts as a frame, so that it is refused at once."""
        if len(self.buffer) < wire.HEAD.size:
            return None
        kind, length = wire.HEAD.unpack_from(self.buffer)
        if not self._expected(kind, length):
            return kind, b""
        if len(self.buffer) < wire.HEAD.size + length:
            return None
        body = bytes(self.buffer[wire.HEAD.size : wire.HEAD.size + length])
        del self.buffer[: wire.HEAD.size + length]
        return kind, body

    def _expected(self, kind: int, length: int) -> bool:
        at = len(self.matrices)
        if kind == wire.MATRIX and at < len(self.sizes):
            return length == wire.SECONDS.size + 8 * self.sizes[at] ** 2
        if kind == wire.DONE:
            return length == 0 and at == len(self.sizes)
        return kind == wire.FAILURE and 0 < length <= 1000

    def _take(self, kind: int, body: bytes) -> bool:
        """Keeps one frame; True at the last."""
        import numpy as np

        if not self._expected(kind, len(body)):
            self.outcome, self.reason, self.matrices = "error", "the worker broke the protocol", []
            return True
        if kind == wire.DONE:
            self.outcome = "ok"
            return True
        if kind == wire.FAILURE:
            known = body[0] < len(wire.OUTCOMES) and body[0] != 0
            self.outcome = wire.OUTCOMES[body[0]] if known else "error"
            self.reason, self.matrices = one_line(body[1:].decode("ascii", "replace")), []
            return True
        n = self.sizes[len(self.matrices)]
        self.seconds += wire.SECONDS.unpack_from(body)[0]
        self.matrices.append(np.frombuffer(body, dtype="<f8", offset=wire.SECONDS.size).reshape(n, n))
        return False


def wide_pipe() -> tuple[int, int]:
    """A pipe that takes whole matrices, where the system allows: fewer switches between worker and caller."""
    reader, writer = os.pipe()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 1 << 20)
    return reader, writer


def cause_of_death(status: int, limits: Limits) -> tuple[Outcome, str]:
    """Verdict on a worker that ended without a last word. Raises WorkerDied when someone else killed it."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGXCPU:
            return "time", f"over the limit of {limits.cpu_seconds:g} seconds of processor time"
        if number == signal.SIGKILL:
            raise WorkerDied("the worker was killed from outside")
        return "error", f"the interpreter crashed ({signal.Signals(number).name})"
    if os.WEXITSTATUS(status) == wire.MEMORY_EXIT:
        return "memory", f"over the limit of {limits.memory_mb} MB"
    return "error", "the worker left without an answer"


def failed(outcome: Outcome, reason: str, started: float) -> Result:
    return Result(outcome, reason, (), time.monotonic() - started)
