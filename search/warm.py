"""Compiles the search's inner loops once, so that no run begins with it: `python -m search.warm`.

numba keeps what it compiled beside the sources (or in NUMBA_CACHE_DIR), for all later processes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

KEPT = Path(os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).with_name("__pycache__"))


def ensure_compiled(say: Callable[[str], None]) -> None:
    """Compiles what is not compiled yet, before worker processes would, each for itself.

    Beside the time there is a reason of substance: a loop compiled where another one came out of the cache is rounded differently
    from both compiled together, so that a run and its continuation could part.
    """
    marker = KEPT / f"compiled-{_state()}"
    if marker.exists() or not os.access(KEPT if KEPT.exists() else KEPT.parent, os.W_OK):
        return
    say("compiling the search's inner loops, once (half a minute)")
    main()
    KEPT.mkdir(exist_ok=True)
    for old in KEPT.glob("compiled-*"):
        old.unlink(missing_ok=True)
    marker.touch()


def _state() -> str:
    """Names what compiled code depends on: the sources as they lie here, the compiler, the processor."""
    from importlib.metadata import version

    from llvmlite.binding import get_host_cpu_name

    root = Path(__file__).parents[1]
    sources = sorted((*root.glob("search/**/*.py"), *root.glob("dsl/*.py")))
    known = [(str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in sources]
    return hashlib.sha256(repr((known, version("numba"), get_host_cpu_name())).encode()).hexdigest()[:16]


def main() -> None:
    """Runs every kernel on a problem of a few tokens."""
    import numpy as np

    from dsl import Batch, evaluate, parse
    from dsl.text import plain_text
    from search.fitting import fit_constants
    from search.forms.board import Board
    from search.forms.candidates import Candidates
    from search.forms.course import bases, begin, grown
    from search.forms.growth import Effort, Growth
    from search.forms.vocabulary import vocabulary
    from search.incremental import IncrementalEvaluator
    from search.problem import Problem
    from search.scoring import score

    program = parse('when dist == 1 add 0.6\nwhen text(k) == " a" add exp(-0.3 * dist)\nwhen k == 0 scale 2')
    texts = [plain_text(["<s>", *[" a", " b", "c", ".", " a", " b", "d", ".", " e", " a"]][: 8 + i]) for i in range(3)] * 3
    evaluate(parse("add 0.8 ** k\nwhen row > 1 and weight < exp(-1) set row"), Batch(texts))  # in double
    for causal in (True, False):
        patterns = evaluate(program, Batch(texts, causal=causal))
        cells = np.concatenate([p[: len(t), : len(t)].ravel() for p, t in zip(patterns, texts, strict=True)])
        targets = cells[None].astype(np.float16)
        targets.flags.writeable = False  # as patterns are that a run maps into memory
        problem = Problem(texts, causal, targets)
        growth = Growth(Candidates(Board(problem), vocabulary(causal)), [0], Effort(most=40, shown=20, steps=2), budget=400)
        begin(growth, list(bases(growth.board)))
        grown(growth)
        fit_constants(program, problem, [0], steps=2)
        IncrementalEvaluator(problem, 0).iou(program)
        score([program], problem, [0])


if __name__ == "__main__":
    ensure_compiled(print)
