"""What a worker process keeps of a run folder: its problems, opened once."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from pathlib import Path

from search.domains import Domains
from search.folder import FolderError, RunFolder
from search.problem import Problem


@lru_cache(maxsize=6)
def problem(path: str, split: str) -> Problem:
    """The texts of a split and the attention patterns of all heads on them, memory-mapped."""
    import numpy as np

    folder = RunFolder(Path(path))
    model = folder.description()["model"]
    where = Path(folder.read(f"attention/{split}.json")["path"])
    try:
        targets = np.load(where, mmap_mode="r")
    except OSError as error:
        raise FolderError(f"{where}: the attention patterns are gone ({error.strerror}); start the command again") from None
    windows = set(model["windows"])
    window = windows.pop() if len(windows) == 1 else None
    return Problem(folder.texts(split), model["causal"], targets, window, Domains(folder.domains(split), folder.held_out))


@lru_cache(maxsize=4)
def part(path: str, split: str, texts: int) -> Problem:
    """The first texts of a split."""
    whole = problem(path, split)
    return whole.part(range(min(texts, len(whole))))


@lru_cache(maxsize=4)
def sample(path: str, split: str, texts: int) -> Problem:
    """So many texts of a split, as many of each domain as there are, the first ones; none of a domain that is held out."""
    whole = problem(path, split)
    domains = whole.domains
    places = [[t for t, name in enumerate(domains.each) if name == d] for d in domains.names if d not in domains.held_out]
    counts = [0] * len(places)
    while sum(counts) < texts and any(n < len(p) for n, p in zip(counts, places, strict=True)):
        for i, p in enumerate(places):
            counts[i] += counts[i] < len(p) and sum(counts) < texts
    chosen = sorted(t for n, p in zip(counts, places, strict=True) for t in p[:n])
    return whole.part(chosen or range(min(texts, len(whole))))


def settle(path: str, *splits: str) -> None:
    """At the end of a piece of work: what programs evaluated to on these splits is forgotten, and its memory given back."""
    for split in splits:
        problem(path, split).batch.forget()
    trim()


def trim() -> None:
    """Gives memory that is not in use back to the system, where the C library would keep it: what a unit has freed is a third of a
    worker's memory."""
    release = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None  # glibc has it
    if release is not None:
        release(0)
