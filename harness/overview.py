"""A run, and one head of it, as text: plain tables that fit 80 columns, and small maps where there is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TextIO

from harness import maps, output
from search.folder import SPLITS

if TYPE_CHECKING:
    from harness.session import Session

WIDTH = 80
KIND = 18  # letters of a kind that are shown
COMPACT = 40  # heads beyond which the table leaves the library's IoU and the proposer out


def with_time(session: Session, outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome with "seconds" and "time" (seconds by phase) where the run folder knows them."""
    if not session.folder.has("timing.json"):
        return outcome
    timing = session.folder.read("timing.json")
    return {**outcome, "seconds": timing["seconds"], "time": timing["phases"]}


def run_table(outcome: dict[str, Any]) -> str:
    """All heads, the library and the means of a run."""
    records = outcome["heads"]
    many = len(records) > COMPACT
    header = ["head", "kind", "rules", "fit", "select", "test", "lib"]
    rows = []
    for r in records:
        row = [_name(r), output.cut(r["kind"], KIND), r["rules"], *(_iou(r["iou"][s]) for s in SPLITS), r["library_program"]]
        rows.append(row if many else [*row, _iou(r["library_iou"]["test"]), r["proposer"]])
    if not many:
        header += ["lib test", "proposer"]
    right = [name not in ("head", "kind", "lib", "proposer") for name in header]
    title = f"{outcome['target']} on text {outcome['text']}, seed {outcome['seed']}: {output.plural(len(records), 'head')}"
    return "\n\n".join([*wrap(title, WIDTH), _fitted(output.table(rows, header, right)), _library(outcome), _means(outcome)])


def _library(outcome: dict[str, Any]) -> str:
    left = max(len(p["id"]) for p in outcome["library"])
    lines = [f"library of {len(outcome['library'])}: heads served, program"]
    for p in outcome["library"]:
        start = f"{p['id'].ljust(left)}  {len(p['heads']):>3}  "
        lines.append(start + output.cut(_one_line(p["program"]), WIDTH - len(start)))
    return "\n".join(lines)


def _one_line(program: str) -> str:
    lines = [line.strip() for line in program.splitlines() if not line.startswith("concept ")]
    return "; ".join(lines).replace("{; ", "{ ").replace("; }", " }")


def _means(outcome: dict[str, Any]) -> str:
    mean, library, proposals = outcome["mean_iou"], outcome["library_mean_iou"], outcome["proposals"]
    baseline = sum(r["baseline"]["test"] for r in outcome["heads"]) / len(outcome["heads"])
    low, high = outcome["interval"]
    rows = [
        ("own programs", *(_iou(mean[s]) for s in SPLITS), f"test 95% {_iou(low)} to {_iou(high)}"),
        (f"library of {len(outcome['library'])}", *(_iou(library[s]) for s in SPLITS), ""),
        ("best simple pattern", "", "", _iou(baseline), "chosen per head on select"),
    ]
    avoided = proposals["same_text"] + proposals["same_behaviour"]
    lines = [
        output.table(rows, ("mean IoU", *SPLITS, ""), (False, True, True, True, False)),
        "",
        f"{outcome['evaluations']:,} programs scored; {avoided:,} of {proposals['made']:,} proposals were known"
        f" ({proposals['same_text']:,} same text, {proposals['same_behaviour']:,} same behaviour)",
    ]
    if outcome.get("time"):
        phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in outcome["time"].items())
        lines.append(f"{outcome['seconds']:.1f} seconds: {phases}")
    return "\n".join("\n".join(wrap(line, WIDTH)) if len(line) > WIDTH and "\n" not in line else line for line in lines)


def head_page(session: Session, record: dict[str, Any], stream: TextIO | None = None) -> str:
    """One head: program, English, scores, archive front, and maps of the first held-out text.

    Colour only where `stream` (standard output by default) is a terminal that shows it and NO_COLOR is not set.
    """
    from dsl import english, parse

    program = parse(record["program"])
    low, high = record["interval"]
    name, served = _name(record), record["library_program"]
    title = f"{name}: {record['kind']}, {output.plural(record['rules'], 'rule')}, size {record['size']}, by {record['proposer']}"
    intervals = record.get("intervals", {"test": [low, high]})
    scores = [
        ("own program", *(_iou(record["iou"][s]) for s in SPLITS)),
        ("95% interval", *("–".join(_iou(v) for v in intervals[s]) if s in intervals else "" for s in SPLITS)),
        (f"library {served}", *(_iou(record["library_iou"][s]) for s in SPLITS)),
        (record["baseline"]["name"], "", *(_iou(record["baseline"][s]) for s in SPLITS[1:])),
    ]
    front = [(f["size"], f["rules"], _iou(f["fit"]), _iou(f["select"]), f["proposer"]) for f in record["front"]]
    parts = [
        title,
        _program(record["program"]),
        "\n".join(line for i, sentence in enumerate(english(program), 1) for line in _hanging(f"{i}. ", sentence)),
        output.table(scores, ("IoU", *SPLITS), (False, True, True, True)),
        "archive front\n" + output.table(front, ("size", "rules", "fit", "select", "proposer"), (True, True, True, True, False)),
        _maps(session, record, maps.style_of(stream or sys.stdout)),
    ]
    return "\n\n".join(parts)


def _maps(session: Session, record: dict[str, Any], style: str) -> str:
    from dsl import Batch, evaluate, parse
    from harness.report.matrices import choose, shared_window

    texts, model = session.texts("test"), session.description["model"]
    index = choose([len(t) for t in texts], 1)[0]
    text = texts[index]
    program = evaluate(parse(record["program"]), Batch([text], model["causal"], shared_window(model)))[0]
    true = session.store("test").matrix(record["layer"], record["head"], index)
    n = min(len(text), maps.MOST_ROWS)
    shown = f"first {n} of {len(text)}" if n < len(text) else f"all {n}"
    iou = record["iou_per_text"]["test"][index]
    caption = f"held-out text {index}, {shown} tokens (rows are queries, columns keys); IoU on the whole text {_iou(iou)}"
    drawn = maps.side_by_side([("model", true), ("program", program)], style, text.tokens)
    return "\n".join([*wrap(caption, WIDTH), *drawn])


def _program(program: str) -> str:
    """The program's lines, long ones continued below with more indentation."""
    lines = []
    for line in program.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 6)
        lines += wrap(line, WIDTH, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True) or [""]
    return "\n".join(lines)


def _hanging(start: str, sentence: str) -> Sequence[str]:
    return wrap(sentence, WIDTH, initial_indent=start, subsequent_indent=" " * len(start))


def _fitted(table: str) -> str:
    return "\n".join(line[:WIDTH] for line in table.splitlines())


def _name(record: dict[str, Any]) -> str:
    return f"L{record['layer']}H{record['head']}"


def _iou(value: float) -> str:
    return f"{value:.3f}"
