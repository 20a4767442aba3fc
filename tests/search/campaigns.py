"""Tiny run folders with planted programs, and campaigns in them: seconds, no model."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import numpy as np

from dsl import Batch, evaluate, parse
from search.campaign import Campaign, Plan, Report
from search.folder import SPLITS, RunFolder
from tests.search.conftest import random_texts

PLANTED = (
    "when dist == 1 add 0.7\nwhen k == 0 add 0.3",
    "add exp(-0.4 * dist)",
    "when same(text) add 1\nwhen k == 0 add 0.4",
)
PLAN = Plan(heads=tuple(range(len(PLANTED))), seed=3, evaluations=900, max_rules=3, library_size=2)


def begun(path: Path) -> RunFolder:
    """A run folder with texts and with heads that attend as the planted programs say."""
    folder = RunFolder(path)
    folder.start({"settings": {"seed": 3}, "model": {"layers": 1, "heads": len(PLANTED), "causal": True, "windows": [None]}})
    for seed, split in enumerate(SPLITS):
        texts = random_texts(5, seed, low=8, high=16)
        folder.write_texts(split, texts)
        heads = []
        for program in PLANTED:
            patterns = evaluate(parse(program), Batch(texts, causal=True))
            heads.append(np.concatenate([p[: len(t), : len(t)].ravel() for p, t in zip(patterns, texts, strict=True)]))
        where = path / f"{split}.npy"
        np.save(where, np.array(heads).astype(np.float16))
        folder.write(f"attention/{split}.json", {"path": str(where)})
    return folder


def run(folder: RunFolder, executor: Executor, workers: int, report: Report = lambda *_: None) -> tuple[bytes, ...]:
    """A whole campaign; the bytes of its outcome."""
    assert Campaign(folder, PLAN, executor, workers, report).run({"target": "planted"})
    return tuple((folder.path / name).read_bytes() for name in ("result.json", "programs.json", "scores.npy"))


class Here(Executor):
    """Does the work at once, in this process."""

    def submit(self, fn, /, *args, **kwargs):
        from concurrent.futures import Future

        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future
