"""What the sandbox costs: a worker's start, a candidate, and a sandboxed call beside plain CPython. Run: python bench/jail.py

Programs: ../shared/corpus where present, else a built-in one. Texts have 96 tokens, made from words without an annotator;
programs that need one are left out.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from dsl.text import Text, plain_text
from sandbox import Sandbox, isolation_tier, wire
from sandbox.environment import Inputs
from sandbox.policy import compile_program

STORY = "Once upon a time , there was a little girl named Lily . She loved to play outside in the sun ."
SMALL = "def program(sentence, tokenizer):\n    n = len(tokenizer(sentence)['input_ids'])\n    return 'x', np.eye(n)\n"
LOOPS = """
def program(sentence, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence, return_tensors="pt").input_ids[0])
    n = len(tokens)
    attention = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            if tokens[j].startswith(" ") and i - j < 9:
                attention[i, j] += 0.5 / (1 + i - j)
    return "loops", make_row_stochastic(apply_causal_mask(attention))
"""
CALLS = 20


def texts(count: int) -> list[Text]:
    words = STORY.split() * 6
    return [plain_text([(" " if w.isalpha() else "") + w for w in words[i : i + 96]]) for i in range(count)]


def programs() -> list[str]:
    folder = Path(__file__).parents[2] / "shared/corpus"
    sources = [file.read_text() for file in sorted(folder.glob("*.py"))]
    return [s for s in sources if "spacy_parse" not in s and "np.random" not in s] or [LOOPS]


def plain(source: str, inputs: Inputs) -> Callable[[], Any]:
    """The program without policy, guards or process."""
    names: dict[str, Any] = {n.replace("$", "_"): v for n, v in inputs.namespace().items() if not n.startswith("_")}
    names["np"] = np
    exec(compile(source, "plain", "exec"), names)
    return lambda: names["program"](inputs.sentence, inputs.tokenizer)


def timed(action: Callable[[], Any], times: int = 1) -> float:
    """Mean seconds of action()."""
    start = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - start) / times


def main() -> None:
    tier, missing = isolation_tier()
    rows: list[tuple[str, float]] = []

    def start() -> None:
        with Sandbox() as sandbox:
            sandbox.isolation()

    rows.append(("start of a warm process, self-test and end", statistics.median(timed(start) for _ in range(5))))
    some, sources = texts(CALLS), programs()
    inputs = [Inputs(*wire.decode_text(wire.encode_text(text))) for text in some]
    with Sandbox() as sandbox:
        sandbox.run(SMALL, some)
        rows.append(("candidate, 1 text, trivial program", timed(lambda: sandbox.run(SMALL, some[:1]), 100)))
        whole = timed(lambda: sandbox.run(SMALL, some), 50)
        rows.append((f"candidate, {CALLS} texts, trivial program", whole))
        rows.append(("policy and compilation, median program", statistics.median(
            timed(lambda s=source: compile_program(s), 3) for source in sources)))  # fmt: skip
        jailed, bare, end_to_end = [], [], []
        with np.errstate(all="ignore"):
            for source in sources:
                result = sandbox.run(source, some)
                if not result.ok:
                    raise SystemExit(f"a program of the benchmark failed: {result.reason}")
                jailed.append(result.seconds_call / CALLS)
                end_to_end.append(result.seconds / CALLS)
                bare.append(statistics.fmean(timed(plain(source, one)) for one in inputs))
    rows.append(("call in plain CPython, median", statistics.median(bare)))
    rows.append(("call inside the jail, median", statistics.median(jailed)))
    rows.append((f"call end to end, {CALLS} texts per candidate, median", statistics.median(end_to_end)))
    print(f"isolation: {tier}; missing layers: {', '.join(missing) or 'none'}; {len(sources)} programs, 96 tokens")
    for name, seconds in rows:
        print(f"{name:<58}{seconds * 1e3:9.2f} ms")
    ratio = statistics.median(e / b for e, b in zip(end_to_end, bare, strict=True))
    inside = statistics.median(j / b for j, b in zip(jailed, bare, strict=True))
    print(f"jailed beside plain, median per program: {inside:.2f} times the call, {ratio:.2f} times end to end")


if __name__ == "__main__":
    main()
