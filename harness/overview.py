"""A run, and one head of it, as text: plain tables, as wide as the terminal and whole in a file, and small maps."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, TextIO

from harness import maps, output
from harness.output import Column
from search.folder import SPLITS

if TYPE_CHECKING:
    from harness.session import Session

PROSE = 100  # columns of sentences at most
HELD_OUT = "*"  # behind the name of a kind of text that no program was searched on


def with_time(session: Session, outcome: dict[str, Any]) -> dict[str, Any]:
    """The outcome with "seconds" and "time" (seconds by phase) where the run folder knows them."""
    if not session.folder.has("timing.json"):
        return outcome
    timing = session.folder.read("timing.json")
    return {**outcome, "seconds": timing["seconds"], "time": timing["phases"]}


def run_table(outcome: dict[str, Any], width: int | None = None) -> str:
    """All heads, the library and the means of a run. width: columns of the terminal; None for a file, which takes any."""
    records = outcome["heads"]
    text = [_name(r) for r in records], [r["kind"] for r in records], [r["library_program"] for r in records]
    columns = [
        Column("head", text[0], keep=9),
        Column("kind", text[1], keep=3),
        Column("rules", [r["rules"] for r in records], True, keep=2),
        Column("size", [r["size"] for r in records], True, keep=8),
        Column("fit", [_iou(r["iou"]["fit"]) for r in records], True, keep=4),
        Column("select", [_iou(r["iou"]["select"]) for r in records], True, keep=5),
        Column("test", [_iou(r["iou"]["test"]) for r in records], True, keep=9),
        *_by_domain(outcome, [r["domains"] for r in records], [r["gap"] for r in records]),
        Column("lib", text[2], keep=6),
        Column("lib test", [_iou(r["library_iou"]["test"]) for r in records], True, keep=1),
        Column("proposer", [r["proposer"] for r in records], keep=0),
    ]
    title = f"{outcome['target']} on text {outcome['text']}, seed {outcome['seed']}: {output.plural(len(records), 'head')}"
    parts = [_prose(title, width), output.fitted(columns, width), _library(outcome, width), _means(outcome, width)]
    return "\n\n".join(parts)


def _by_domain(outcome: Mapping[str, Any], figures: Sequence[Mapping[str, Any]], gaps: Sequence[float]) -> list[Column]:
    """The IoU on `test` of each kind of text, and the gap between the best and the worst; nothing where there is one kind."""
    names = list(outcome["domains"])
    if len(names) == 1:
        return []
    marked = {name: name + HELD_OUT * (name in outcome["held_out"]) for name in names}
    columns = [Column(marked[name], [_iou(f[name]["test"]) if name in f else "" for f in figures], True, keep=7) for name in names]
    return [*columns, Column("gap", [_iou(g) for g in gaps], True, keep=7)]


def _library(outcome: dict[str, Any], width: int | None) -> str:
    left = max(len(p["id"]) for p in outcome["library"])
    lines = [f"library of {len(outcome['library'])}: heads served, size, program"]
    for p in outcome["library"]:
        start = f"{p['id'].ljust(left)}  {len(p['heads']):>3}  {p['size']:>4}  "
        program = _one_line(p["program"])
        lines.append(start + (program if width is None else output.cut(program, width - len(start))))
    return "\n".join(lines)


def _one_line(program: str) -> str:
    lines = [line.strip() for line in program.splitlines() if not line.startswith("concept ")]
    return "; ".join(lines).replace("{; ", "{ ").replace("; }", " }")


def _means(outcome: dict[str, Any], width: int | None) -> str:
    proposals, full = outcome["proposals"], outcome["full_program"]
    baseline = sum(r["baseline"]["test"] for r in outcome["heads"]) / len(outcome["heads"])
    rows = [
        ("shown programs", outcome["mean_iou"], outcome["domains"], f"{outcome['median_size']:g}", outcome["interval"]),
        ("largest programs", full["mean_iou"], full["domains"], f"{full['median_size']:g}", full["interval"]),
        (f"library of {len(outcome['library'])}", outcome["library_mean_iou"], outcome["library_domains"], "", None),
        ("best simple pattern", {"test": baseline}, {}, "", None),
    ]
    gaps = [outcome["gap"], full["gap"]]
    columns = [
        Column("mean IoU", [row[0] for row in rows], keep=9),
        *(Column(s, [_iou(row[1][s]) if s in row[1] else "" for row in rows], True, keep=4 + 5 * (s == "test")) for s in SPLITS),
        Column("test 95%", [_span(row[4]) if row[4] else "" for row in rows], True, keep=5),
        *(c.padded(len(rows)) for c in _by_domain(outcome, [row[2] for row in rows], gaps)),
        Column("median size", [row[3] for row in rows], True, keep=6),
    ]
    avoided = proposals["same_text"] + proposals["same_behaviour"]
    lines = [output.fitted(columns, width)]
    if outcome["held_out"]:
        lines.append(_prose(f"{HELD_OUT} held out: no program was searched on it, and no mean counts it", width))
    scored = (
        f"{outcome['evaluations']:,} programs scored; {avoided:,} of {proposals['made']:,} proposals were known"
        f" ({proposals['same_text']:,} same text, {proposals['same_behaviour']:,} same behaviour)"
    )
    lines += ["", _prose(scored, width)]
    if outcome.get("time"):
        phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in outcome["time"].items())
        lines.append(_prose(f"{outcome['seconds']:.1f} seconds: {phases}", width))
    return "\n".join(lines)


def head_page(session: Session, outcome: dict[str, Any], record: dict[str, Any], stream: TextIO | None = None) -> str:
    """One head: headline, program, English with what each rule adds, scores, front, and maps of the first held-out text.

    record: one of the outcome's heads. As wide as `stream` (standard output by default); colour only where that is a terminal that
    shows it and NO_COLOR is not set.
    """
    stream = stream or sys.stdout
    width = output.width(stream)
    title = f"{_name(record)}: {record['kind']}, {output.plural(record['rules'], 'rule')}, size {record['size']}"
    parts = [
        f"{title}, by {record['proposer']}\n{_prose(record['headline'], width)}",
        _program(record["program"], width),
        _english(record, width),
        *_written(session, record, width),
        _scores(outcome, record, width),
        _front(outcome, record, width),
        _maps(session, record, maps.style_of(stream)),
    ]
    return "\n\n".join(parts)


def _english(record: Mapping[str, Any], width: int | None) -> str:
    lines = [_prose("what each rule does, and the IoU on select that is lost without it (nothing fitted anew)", width)]
    for i, (sentence, adds) in enumerate(zip(record["english"], record["rule_gains"], strict=True), 1):
        start = f"{i:>2}. {_gain(adds)}  "
        lines += wrap(sentence, _columns(width), initial_indent=start, subsequent_indent=" " * len(start))
    return "\n".join(lines)


def _written(session: Session, record: Mapping[str, Any], width: int | None) -> list[str]:
    """What a language model brought to the program, where one was asked about the head."""
    from harness.provenance import lines, provenance

    found = provenance(session.folder, record)
    if found is None:
        return []
    return ["\n".join("\n".join(wrap(line, _columns(width), subsequent_indent="      ")) for line in lines(found))]


def _scores(outcome: Mapping[str, Any], record: Mapping[str, Any], width: int | None) -> str:
    """IoU of the program, of its neighbours and of the best simple pattern, by split and by kind of text."""
    full, intervals = record["full_program"], record["domain_intervals"]
    rows = [("this program", record["iou"], record["domains"])]
    if full["program"] != record["program"]:
        rows.append((f"largest (size {full['size']})", full["iou"], full["domains"]))
    rows.append((f"library {record['library_program']}", record["library_iou"], record["library_domains"]))
    rows.append((record["baseline"]["name"], {s: record["baseline"][s] for s in SPLITS[1:]}, {}))
    names = [row[0] for row in rows]
    columns = [Column("IoU", [*names, "95% of this program"], keep=9)]
    for split in SPLITS:
        cells = [_iou(row[1][split]) if split in row[1] else "" for row in rows]
        columns.append(Column(split, [*cells, _span(record["intervals"][split])], True, keep=8))
    for column, name in zip(_by_domain(outcome, [r[2] for r in rows], [record["gap"]]), [*outcome["domains"], None], strict=False):
        column = column.padded(len(rows))
        columns.append(column.padded(len(rows) + 1, _span(intervals[name]) if name else ""))
    return output.fitted(columns, width)


def _front(outcome: Mapping[str, Any], record: Mapping[str, Any], width: int | None) -> str:
    """The programs that no shorter one matches, and what each adds to the one before."""
    front = record["front"]
    steps = [f["select"] - (front[i - 1]["select"] if i else 0) for i, f in enumerate(front)]
    columns = [
        Column("size", [f["size"] for f in front], True, keep=9),
        Column("rules", [f["rules"] for f in front], True, keep=5),
        Column("fit", [_iou(f["fit"]) for f in front], True, keep=6),
        Column("select", [_iou(f["select"]) for f in front], True, keep=9),
        Column("gain", [_gain(step) for step in steps], True, keep=8),
        Column("proposer", [f["proposer"] for f in front], keep=2),
        Column("", ["this program" if f["program"] == record["program"] else "" for f in front], keep=7),
    ]
    said = f"front: a token of text must be worth {outcome['parsimony']:g} of IoU on select in what is shown first"
    return f"{_prose(said, width)}\n{output.fitted(columns, width)}"


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
    return "\n".join([*wrap(caption, output.WIDTH), *drawn])


def _program(program: str, width: int | None) -> str:
    """The program's lines, long ones continued below with more indentation."""
    lines = []
    for line in program.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 6)
        lines += wrap(line, _columns(width), subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True) or [""]
    return "\n".join(lines)


def _columns(width: int | None) -> int:
    return min(PROSE, width or PROSE)


def _prose(text: str, width: int | None) -> str:
    return "\n".join(wrap(text, _columns(width)))


def _name(record: Mapping[str, Any]) -> str:
    return f"L{record['layer']}H{record['head']}"


def _iou(value: float) -> str:
    return f"{value:.3f}"


def _gain(value: float) -> str:
    return f"{value:+.3f}"


def _span(interval: Sequence[float]) -> str:
    return "–".join(_iou(v) for v in interval)
