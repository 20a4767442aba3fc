"""Where units of work run: local processes, or the workers of a Dask cluster; any `concurrent.futures.Executor` will do."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

# One unit, one core: libraries that start threads of their own would only get in each other's way.
SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
DASK = "dask://"


@contextmanager
def executor(url: str | None, workers: int) -> Iterator[Executor]:
    """Local processes (None) or dask://HOST:PORT. Raises ValueError, one line, for what cannot be used."""
    if url is None:
        pool = local(workers)
        try:
            yield pool
        finally:
            stop(pool)
        return
    if not url.startswith(DASK):
        raise ValueError(f"--executor {url}: expected dask://HOST:PORT")
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("--executor dask://… needs Dask: pip install 'headscript[dask]'") from None
    try:
        client = Client("tcp://" + url.removeprefix(DASK), timeout=10, set_as_default=False)
    except (OSError, ValueError, TimeoutError):
        raise ValueError(f"--executor {url}: no Dask scheduler answers there") from None
    try:
        yield client.get_executor(pure=False, retries=3)
    finally:
        client.close()


def local(workers: int) -> ProcessPoolExecutor:
    """A pool of fresh processes that ignore Ctrl-C (the campaign decides) and end when the campaign's process is gone."""
    for name in SINGLE_THREADED:
        os.environ.setdefault(name, "1")  # read when the worker imports its libraries
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),))


def stop(pool: ProcessPoolExecutor) -> None:
    """Ends the pool at once, units in the middle of their work included."""
    processes = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        if process.is_alive():
            process.terminate()


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
