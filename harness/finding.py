"""Programs of finished runs by what they say, or by what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.session import Session, open_run, outcome_of

TEXTS = 8  # on which programs are compared
WORD = re.compile(r'"(?:\\.|[^"\\\n])*"|[A-Za-z_]\w*|\d[\d.]*(?:e[+-]?\d+)?|\S')


def containing(runs: Sequence[str | Path], phrase: str) -> list[dict[str, Any]]:
    """The programs in which the words of `phrase` stand one after the other: those that heads show first, by their IoU.

    Words are those of the language: `text(k)` is not found in `text(k - 1)`, nor `start` in `word_start(k)`.
    """
    wanted = WORD.findall(phrase)
    if not wanted:
        raise UsageError("the phrase is empty")
    hits = []
    for _, program in _programs(runs):
        words = WORD.findall(program["program"])
        if any(words[i : i + len(wanted)] == wanted for i in range(len(words))):
            hits.append(program)
    return sorted(hits, key=lambda hit: (not hit["heads"], -hit["iou"]))


def like(runs: Sequence[str | Path], source: str) -> list[dict[str, Any]]:
    """All programs with "closeness", their mean IoU with the pattern of the program `source` on select texts; the closest first."""
    import numpy as np

    from dsl import Batch, evaluate, parse
    from harness.report.matrices import shared_window

    wanted = parse(source)
    hits = []
    batches: dict[Path, tuple[Any, Any]] = {}
    for session, program in _programs(runs):
        path = session.folder.path
        if path not in batches:
            model = session.description["model"]
            batch = Batch(session.texts("select")[:TEXTS], model["causal"], shared_window(model))
            batches[path] = batch, evaluate(wanted, batch)
        batch, pattern = batches[path]
        other = evaluate(parse(program["program"]), batch)
        each = np.minimum(pattern, other).sum((1, 2)) / np.maximum(np.maximum(pattern, other).sum((1, 2)), 1e-9)
        hits.append({**program, "closeness": round(float(each.mean()), 6)})
    return sorted(hits, key=lambda hit: -hit["closeness"])


def _programs(runs: Sequence[str | Path]) -> Iterator[tuple[Session, dict[str, Any]]]:
    """Each program of heads, fronts and libraries once per run: which heads show it, its best IoU on select and on which head."""
    for path in runs:
        session = open_run(path)
        found: dict[str, dict[str, Any]] = {}

        def note(text: str, head: str, iou: float, shown: bool, run: str, found: dict[str, dict[str, Any]] = found) -> None:
            hit = found.setdefault(text, {"run": run, "program": text, "heads": [], "iou": iou, "best": head})
            if iou > hit["iou"]:
                hit |= {"iou": iou, "best": head}
            if shown and head not in hit["heads"]:
                hit["heads"].append(head)

        for record in outcome_of(session)["heads"]:
            head = f"L{record['layer']}H{record['head']}"
            note(record["program"], head, record["iou"]["select"], True, str(path))
            for step in record["front"]:
                note(step["program"], head, step["select"], False, str(path))
        for hit in found.values():
            yield session, hit
