"""Where units of work run: local processes, or the workers of a Dask cluster; any `concurrent.futures.Executor` will do."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

# One unit, one core: libraries that start threads of their own would only get in each other's way.
SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
DASK = "dask://"
ATTEMPTS = 4  # at a unit whose worker is killed: by the system for lack of memory, say, or by hand


@contextmanager
def executor(url: str | None, workers: int) -> Iterator[Executor]:
    """Local processes (None) or dask://HOST:PORT. Raises ValueError, one line, for what cannot be used."""
    if url is None:
        pool = Processes(workers)
        try:
            yield pool
        finally:
            pool.stop()
        return
    if not url.startswith(DASK):
        raise ValueError(f"--executor {url}: expected dask://HOST:PORT")
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("--executor dask://… needs Dask: pip install 'headscript[dask]'") from None
    try:
        host, _, port = url.removeprefix(DASK).rpartition(":")
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()  # Dask's client would try again for long
        client = Client("tcp://" + url.removeprefix(DASK), timeout=10, set_as_default=False)
    except (OSError, ValueError, TimeoutError):
        raise ValueError(f"--executor {url}: no Dask scheduler answers there") from None
    try:
        yield client.get_executor(pure=False, retries=ATTEMPTS - 1)
    finally:
        client.close()


class Here(Executor):
    """Work done at once in this process: for callers whose main module must not be imported again, as a new process would."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def slots(pool: Executor, workers: int) -> int:
    """How many units to hand out at once: the workers asked for, or all that a Dask cluster has now."""
    client = getattr(pool, "_client", None)
    return workers if client is None else max(1, sum(client.nthreads().values()))


class Processes(Executor):
    """A pool of fresh processes that ignore Ctrl-C (the campaign decides) and end when the campaign's process is gone.

    The standard pool is of no use any more once one of its processes was killed. Here a new pool takes over, and does again what
    was lost; a unit that loses its process ATTEMPTS times fails.
    """

    def __init__(self, workers: int) -> None:
        for name in SINGLE_THREADED:
            os.environ.setdefault(name, "1")  # read when the worker imports its libraries
        self._workers = workers
        self._lock = threading.Lock()
        self._stopped = False
        self._pool = self._fresh()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        outer: Future[Any] = Future()
        self._start(outer, (fn, args, kwargs), ATTEMPTS)
        return outer

    def stop(self) -> None:
        """Ends the pool at once, units in the middle of their work included."""
        with self._lock:
            self._stopped = True
            pool = self._pool
        processes = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            if process.is_alive():
                process.terminate()

    def pids(self) -> list[int]:
        """The worker processes that are there now."""
        return list(getattr(self._pool, "_processes", None) or {})

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._lock:
            self._stopped = True
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _fresh(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),))

    def _start(self, outer: Future[Any], work: tuple[Any, ...], attempts: int) -> None:
        """Hands the work to the pool, or to the one after it if that is broken, and its end to `outer`."""
        fn, args, kwargs = work
        with self._lock:
            try:
                inner = self._pool.submit(fn, *args, **kwargs)
            except BrokenExecutor:
                if self._stopped:
                    raise
                self._pool = self._fresh()
                inner = self._pool.submit(fn, *args, **kwargs)
        outer.add_done_callback(lambda f: f.cancelled() and inner.cancel())
        inner.add_done_callback(lambda f: self._end(f, outer, work, attempts - 1))

    def _end(self, inner: Future[Any], outer: Future[Any], work: tuple[Any, ...], attempts: int) -> None:
        if outer.cancelled():
            return
        error = None if inner.cancelled() else inner.exception()
        if inner.cancelled() or (isinstance(error, BrokenExecutor) and self._stopped):
            outer.cancel()
            outer.set_running_or_notify_cancel()  # wakes those who wait for it
            return
        if isinstance(error, BrokenExecutor) and attempts:
            # A thread of its own: this one holds the broken pool's lock, which `submit` waits for.
            threading.Thread(target=self._again, args=(outer, work, attempts), daemon=True).start()
            return
        if not outer.set_running_or_notify_cancel():
            return
        if isinstance(error, BrokenExecutor):
            outer.set_exception(
                ValueError(f"a worker process was killed {ATTEMPTS} times; is there memory for {self._workers} of them?")
            )
        elif error is not None:
            outer.set_exception(error)
        else:
            outer.set_result(inner.result())

    def _again(self, outer: Future[Any], work: tuple[Any, ...], attempts: int) -> None:
        try:
            self._start(outer, work, attempts)
        except Exception as error:  # the pool was stopped meanwhile, or no process can be started
            if outer.set_running_or_notify_cancel():
                outer.set_exception(error)


def _begin(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A worker whose campaign was killed would wait for work for ever."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
