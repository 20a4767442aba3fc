"""How many programs are lifted, how fast, and how much faster the lifted programs run than their originals.

    python bench/lift.py CORPUS_FOLDER --causal MODEL_FOLDER --bidirectional MODEL_FOLDER --text FILE --annotator PIPELINE

Files whose name starts with "minilm" are for the bidirectional model, all others for the causal one. Python time is plain CPython
inside the sandbox, without its start-up; the language's time is one evaluation of a batch of 32 texts whose features are known
(as in a search, where thousands of programs meet the same texts), the same with a fresh batch, and the same when the batch has met
all expressions of the program before (as for the descendants of a program).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from dsl.batch import Batch
from dsl.canonical import simplify
from dsl.evaluator import evaluate
from dsl.lift import Refusal, lift
from dsl.text import Text
from harness.annotate import load_annotator
from harness.targets import load_target, prepare
from harness.texts import load_all
from sandbox import Sandbox
from search.validate import validate, validation_texts

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--causal", required=True)
    parser.add_argument("--bidirectional", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--annotator", required=True)
    options = parser.parse_args()
    raw = load_all(options.text, BATCH)
    annotator = load_annotator(options.annotator)
    texts = {name: prepare(load_target(spec), raw, 96, annotator)[0][:BATCH]
             for name, spec in (("causal", options.causal), ("bidirectional", options.bidirectional))}  # fmt: skip
    with Sandbox() as sandbox:
        records = [measure(f, texts, sandbox) for f in sorted(options.corpus.glob("*.py"))]
    lifted = [r for r in records if r["status"] == "lifted"]
    summary: dict[str, object] = {
        "programs": len(records),
        "lifted": len(lifted),
        "differs": sum(r["status"] == "differs" for r in records),
        "failed": sum(r["status"] == "failed" for r in records),
    }
    for key in ("lift_seconds", "simplify_seconds", "rules", "speed_up", "speed_up_fresh_batch", "speed_up_known_expressions"):
        values = [float(str(r[key])) for r in lifted]
        summary[key] = {
            "median": round(statistics.median(values), 4),
            "worst": round(max(values) if "sec" in key or key == "rules" else min(values), 4),
        }
    summary["not_lifted"] = {str(r["file"]): r["reason"] for r in records if r["status"] != "lifted"}
    print(json.dumps(summary, indent=1, ensure_ascii=False))


def measure(file: Path, texts: dict[str, Sequence[Text]], sandbox: Sandbox) -> dict[str, object]:
    """What became of one file: status, seconds, rules, speed-ups."""
    source = file.read_text()
    causal = not file.name.startswith("minilm")
    mine = texts["causal" if causal else "bidirectional"]
    started = time.perf_counter()
    try:
        program = lift(source).program
    except Refusal as refusal:
        return {"file": file.name, "status": "refused", "reason": str(refusal)}
    lift_seconds = time.perf_counter() - started
    started = time.perf_counter()
    program = simplify(program)
    simplify_seconds = time.perf_counter() - started
    found = validate(source, program, validation_texts(mine), causal, sandbox)
    python = sandbox.run(source, mine, causal=causal)
    batch = Batch(mine, causal)
    fresh = seconds(lambda: evaluate(program, batch), 1)
    warm = seconds(lambda: evaluate(program, batch), 3)
    batch.cache.clear()  # values of expressions; tables of features stay
    known = seconds(lambda: (batch.cache.clear(), evaluate(program, batch)), 3)
    return {
        "file": file.name,
        "status": found.status,
        "reason": found.reason,
        "lift_seconds": lift_seconds,
        "simplify_seconds": simplify_seconds,
        "rules": len(program.rules()),
        "speed_up": python.seconds_call / known,
        "speed_up_fresh_batch": python.seconds_call / fresh,
        "speed_up_known_expressions": python.seconds_call / warm,
    }


def seconds(run: object, times: int) -> float:
    """The least of several measurements."""
    best = float("inf")
    for _ in range(times):
        started = time.perf_counter()
        run()  # type: ignore[operator]
        best = min(best, time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main()
