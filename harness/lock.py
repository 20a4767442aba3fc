"""One process at a time in a run folder: a lock that ends with its process, with the owner's pid and host for those who wait."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from harness.errors import UserError

NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder, which is made where it is missing. Raises UserError, with the owner's pid and host, where it is held.

    The kernel gives the lock of a killed process back, so that nothing has to be cleaned up by hand.
    """
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    while True:
        with path.open("a+", encoding="utf-8") as file:
            _take(file, folder)
            if not _is_at(file, path):
                continue  # its owner has ended, and removed it, since we opened it
            file.truncate(0)
            json.dump({"pid": os.getpid(), "host": socket.gethostname()}, file)
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
                if made:
                    with suppress(OSError):  # nothing came of it
                        folder.rmdir()
            return


def refuse_held(folder: Path) -> None:
    """Raises UserError where a process is at work in the folder, before anything expensive is begun."""
    path = folder / NAME
    if path.exists():
        with path.open("a+", encoding="utf-8") as file:
            _take(file, folder)


def _take(file: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        try:
            owner = json.loads(file.read())
            who = f"process {owner['pid']} on {owner['host']}"
        except (ValueError, KeyError):
            who = "another process"
        raise UserError(f"{folder}: {who} is at work in this run; wait for it, or name another folder with --out") from None


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
