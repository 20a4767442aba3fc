"""The sandbox that callers see: a pool of zygotes, and the last check of what comes out."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from sandbox.lockdown import LAYERS
from sandbox.result import Limits, Result, SandboxError
from sandbox.worker import Isolation, WorkerDied, Zygote, failed

if TYPE_CHECKING:
    import numpy as np

    from dsl.text import Text


class Sandbox:
    """Runs programs that nobody trusts. Thread-safe: as many at once as there are workers.

    workers: warm processes, started when first needed. weak: go on, instead of raising SandboxError, where the kernel does
    not confine the workers (see isolation_tier and README.md). layers: which of the kernel's layers to use.
    """

    def __init__(self, workers: int = 1, limits: Limits | None = None, weak: bool = False, layers: Sequence[str] = LAYERS):
        if workers < 1:
            raise ValueError(f"a sandbox needs at least 1 worker, not {workers}")
        if unknown := set(layers) - set(LAYERS):
            raise ValueError(f"unknown layer {min(unknown)!r}; known are {', '.join(LAYERS)}")
        if sys.platform == "win32":
            raise SandboxError("the sandbox needs Linux or another Unix system")
        self.limits, self.weak, self.layers = limits or Limits(), weak, tuple(layers)
        self._idle: queue.LifoQueue[Zygote | None] = queue.LifoQueue()
        self._all: set[Zygote] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._workers, self._owner = workers, os.getpid()
        for _ in range(workers):
            self._idle.put(None)

    def run(self, source: str, texts: Sequence[Text], limits: Limits | None = None, causal: bool = True) -> Result:
        """Runs the last top-level function of two parameters in source on every text.

        The matrices are comparable with those of the language's evaluator: negative cells become 0, then, for causal
        models, cells with key > query, then every row is divided by its sum (a row of zeros stays zeros).
        Raises ValueError for texts beyond limits.cells, SandboxError where no safe worker can be started.
        """
        limits = limits or self.limits
        started = time.monotonic()
        if any(len(text) ** 2 > limits.cells for text in texts):
            raise ValueError(f"a text of {max(map(len, texts))} tokens is over the limit of {limits.cells} cells")
        if len(source) > limits.source_chars:
            reason = f"the source has {len(source)} characters, over the limit of {limits.source_chars}"
            return failed("refused", reason, started)
        try:
            encoded = source.encode("utf-8")
        except UnicodeEncodeError:
            return failed("refused", "the source is not valid Unicode text", started)
        for _ in range(2):
            try:
                outcome, reason, raw, seconds_call = self._run(encoded, texts, limits)
                break
            except WorkerDied as died:
                outcome, reason, raw, seconds_call = "error", f"{died}, twice", [], 0.0
        matrices: tuple[np.ndarray, ...] = ()
        if outcome == "ok":
            try:
                matrices = tuple(normal(matrix, causal) for matrix in raw)
            except ValueError as error:
                outcome, reason = "invalid", str(error)
        seconds = time.monotonic() - started
        return Result(outcome, reason, matrices, seconds, seconds_call if 0 <= seconds_call <= seconds else seconds)

    def _run(self, source: bytes, texts: Sequence[Text], limits: Limits):
        if self._closed:
            raise SandboxError("the sandbox is closed")
        if self._owner != os.getpid():
            raise SandboxError("a sandbox does not survive a fork: make one in each process")
        zygote = self._idle.get()
        try:
            if zygote is not None and not zygote.alive():
                self._drop(zygote)
                zygote = None
            if zygote is None:
                zygote = self._start()
            return zygote.run(source, texts, limits)
        except BaseException:  # also an interrupt of the caller: a worker may still be busy
            if zygote is not None:
                self._drop(zygote)
                zygote = None
            raise
        finally:
            self._idle.put(zygote)

    def _start(self) -> Zygote:
        zygote = Zygote(self.layers)
        if not self.weak and zygote.isolation.tier != "kernel":
            zygote.close()
            raise SandboxError(weakness(zygote.isolation))
        with self._lock:
            self._all.add(zygote)
        return zygote

    def _drop(self, zygote: Zygote) -> None:
        with self._lock:
            self._all.discard(zygote)
        zygote.process.kill()
        zygote.close()

    def isolation(self) -> Isolation:
        """The layers that hold around this sandbox's workers, as their self-test found."""
        zygote = self._idle.get()
        try:
            zygote = zygote or self._start()
            return zygote.isolation
        finally:
            self._idle.put(zygote)

    def close(self) -> None:
        self._closed = True
        with self._lock:
            zygotes, self._all = self._all, set()
        if self._owner == os.getpid():
            for zygote in zygotes:
                zygote.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def normal(matrix: np.ndarray, causal: bool) -> np.ndarray:
    """Clipped, masked and row-normalised copy of a raw (n, n) matrix. Raises ValueError for a cell that is not finite."""
    import numpy as np

    if not np.isfinite(matrix).all():
        raise ValueError("returned a matrix with cells that are not finite")
    weights = np.maximum(matrix, 0.0)
    if causal:
        weights = np.tril(weights)
    with np.errstate(over="ignore"):
        total = weights.sum(axis=1, keepdims=True)
    if not np.isfinite(total).all():  # finite cells whose sum is not
        return normal(weights / weights.max(), causal)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def weakness(isolation: Isolation) -> str:
    missing = ", ".join(layer for layer in LAYERS if layer not in isolation.layers) or "none"
    can = ", ".join(isolation.breaches) or "nothing forbidden"
    return (
        f"the kernel does not confine the sandbox's workers here (missing layers: {missing}; a worker {can}); "
        "pass weak=True to run programs all the same"
    )


def isolation_tier() -> tuple[str, tuple[str, ...]]:
    """ "kernel" or "process", and the layers that are missing on this machine. Starts a worker process to find out."""
    with Sandbox(weak=True) as sandbox:
        isolation = sandbox.isolation()
    return isolation.tier, tuple(layer for layer in LAYERS if layer not in isolation.layers)
