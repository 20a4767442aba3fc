"""How many programs are lifted, how fast, and how much faster the lifted programs run than their originals.

    python bench/lift.py CORPUS_FOLDER --causal MODEL_FOLDER --bidirectional MODEL_FOLDER --text FILE --annotator PIPELINE

Files whose name starts with "minilm" are for the bidirectional model, all others for the causal one. The 32 longest texts of the
file, each cut at 96 tokens. Times are microseconds per text of one core (CPU time; wall-clock time for the jail).

The original, run as it is (this file executes the corpus in its own process: give it only programs that you trust):
    jail               in the sandbox's worker, with its guards and its stand-ins for tokenizer and spaCy
    plain              exec without guards, with the same stand-ins
    published          exec with the real tokenizer and real spaCy documents that are parsed beforehand
    published_parsing  the same, and every spacy_parse(…) in the program parses

The lifted program, one evaluation of a batch of all texts:
    known              the batch has met the program before (as the descendants of a program meet the same texts)
    fresh              the batch has forgotten the values of all expressions; features of positions are known
    new                the same, and the program has not been prepared either (as a search meets a new program)
    fresh_batch        a new batch: features are computed too
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dsl.batch import Batch
from dsl.canonical import simplify
from dsl.evaluator import evaluate
from dsl.lift import Refusal, lift
from dsl.plan import plan
from dsl.steps import fragment, kept, of_key
from dsl.text import Text
from harness.annotate import Annotator, load_annotator
from harness.targets import Target, load_target, prepare
from harness.texts import load_all
from sandbox import Sandbox, wire
from sandbox.environment import Inputs
from search.validate import validate, validation_texts

BATCH = 32
TOKENS = 96
ORIGINAL = ("jail", "plain", "published", "published_parsing")
LIFTED = ("known", "fresh", "new", "fresh_batch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--causal", required=True)
    parser.add_argument("--bidirectional", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--annotator", required=True)
    options = parser.parse_args()
    raw = load_all(options.text, 1000)
    annotator = load_annotator(options.annotator)
    targets = {"causal": load_target(options.causal), "bidirectional": load_target(options.bidirectional)}
    texts = {n: sorted(prepare(t, raw, TOKENS, annotator)[0], key=len, reverse=True)[:BATCH] for n, t in targets.items()}
    with Sandbox() as sandbox:
        records = []
        for file in sorted(options.corpus.glob("*.py")):
            kind = "bidirectional" if file.name.startswith("minilm") else "causal"
            records.append(measure(file, texts[kind], targets[kind], annotator, sandbox))
    lifted = [r for r in records if r["status"] == "lifted"]
    summary: dict[str, object] = {
        "programs": len(records),
        "lifted": len(lifted),
        "differs": sum(r["status"] == "differs" for r in records),
        "failed": sum(r["status"] == "failed" for r in records),
        "tokens_per_text": {n: statistics.fmean(map(len, t)) for n, t in texts.items()},
    }
    for key in ("lift_seconds", "simplify_seconds", "rules"):
        values = [float(r[key]) for r in lifted]
        summary[key] = {"median": round(statistics.median(values), 4), "worst": round(max(values), 4)}
    for key in ORIGINAL + LIFTED:
        values = [r[key] for r in lifted if r[key] is not None]
        quarters = statistics.quantiles(values, n=4)
        figures = {"quarter": quarters[0], "median": quarters[1], "three_quarters": quarters[2], "worst": max(values)}
        summary[key] = {"programs": len(values), **{name: round(x, 1) for name, x in figures.items()}}
    summary["times_faster_median"] = {
        f"{lifted_way} than {original}": round(statistics.median(r[original] / r[lifted_way] for r in lifted if r[original]), 1)
        for lifted_way in LIFTED
        for original in ORIGINAL
    }
    summary["not_lifted"] = {str(r["file"]): r["reason"] for r in records if r["status"] != "lifted"}
    print(json.dumps(summary, indent=1, ensure_ascii=False))


def measure(file: Path, texts: Sequence[Text], target: Target, annotator: Annotator, sandbox: Sandbox) -> dict[str, Any]:
    """What became of one file: status, seconds, rules, microseconds per text (None where the original failed)."""
    source = file.read_text()
    started = time.perf_counter()
    try:
        program = lift(source).program
    except Refusal as refusal:
        return {"file": file.name, "status": "refused", "reason": str(refusal)}
    lift_seconds = time.perf_counter() - started
    started = time.perf_counter()
    program = simplify(program)
    simplify_seconds = time.perf_counter() - started
    found = validate(source, program, validation_texts(texts), target.causal, sandbox)
    record = {
        "file": file.name,
        "status": found.status,
        "reason": found.reason,
        "lift_seconds": lift_seconds,
        "simplify_seconds": simplify_seconds,
        "rules": len(program.rules()),
        "jail": sandbox.run(source, texts, causal=target.causal).seconds_call / len(texts) * 1e6,
        "plain": plain(source, texts),
        "published": published(source, texts, target, annotator, parsing=False),
        "published_parsing": published(source, texts, target, annotator, parsing=True),
    }
    batch = Batch(texts, target.causal)

    def fresh() -> None:
        batch.forget()
        evaluate(program, batch)

    def forgotten(run: Callable[[], object]) -> Callable[[], None]:
        def forget_first() -> None:
            for known in (plan, fragment, kept, of_key):
                known.cache_clear()
            run()

        return forget_first

    ways = {"known": lambda: evaluate(program, batch), "fresh": fresh, "new": forgotten(fresh)}
    ways["fresh_batch"] = forgotten(lambda: evaluate(program, Batch(texts, target.causal)))
    for name, way in ways.items():
        way()
        way()
        record[name] = min(seconds(way) for _ in range(5)) / len(texts) * 1e6
    return record


def plain(source: str, texts: Sequence[Text]) -> float | None:
    """Microseconds per text of the original with the sandbox's stand-ins."""
    inputs = [Inputs(*wire.decode_text(wire.encode_text(text))) for text in texts]
    calls = []
    for one in inputs:
        names = {n.replace("$", "_"): v for n, v in one.namespace().items() if not n.startswith("_")}
        calls.append(called(source, {**names, "np": np}, one.sentence, one.tokenizer))
    return together(calls)


def published(source: str, texts: Sequence[Text], target: Target, annotator: Annotator, parsing: bool) -> float | None:
    """Microseconds per text of the original with the real tokenizer and spaCy, which parse at every call only if `parsing`."""
    calls = []
    for text in texts:
        parsed = annotator.nlp(text.text)
        given = Inputs(*wire.decode_text(wire.encode_text(text))).namespace()  # helpers that are functions of numbers
        names = {n.replace("$", "_"): v for n, v in given.items() if not n.startswith("_")}
        names |= {"np": np, "spacy_parse": annotator.nlp if parsing else lambda sentence, parsed=parsed: parsed}
        calls.append(called(source, names, text.text, target.tokenizer))
    return together(calls)


def called(source: str, names: dict[str, Any], sentence: str, tokenizer: Any) -> Callable[[], object]:
    """The call of a file's last function of two parameters, as `headscript lift` takes it."""
    before = set(names)
    exec(compile(source, "original", "exec"), names)
    made = [f for n, f in names.items() if n not in before and callable(f) and getattr(f, "__code__", None) is not None]
    program = [f for f in made if f.__code__.co_argcount == 2][-1]
    return lambda: program(sentence, tokenizer)


def together(calls: Sequence[Callable[[], object]]) -> float | None:
    """Microseconds per call; None where one fails."""
    try:
        with np.errstate(all="ignore"):
            return sum(seconds(call) for call in calls) / len(calls) * 1e6
    except Exception:
        return None


def seconds(run: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    started = time.process_time()
    run()
    return time.process_time() - started


if __name__ == "__main__":
    main()
