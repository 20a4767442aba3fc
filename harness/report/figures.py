"""Static figures of a run as SVG: the heads, the cover curve, the replacement curve, single heads."""

from __future__ import annotations

from math import ceil, copysign, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.report import colours
from harness.report.matrices import MOST_TOKENS, choose, shared_window
from harness.report.svg import INK, MONO, MUTED, Axis, Drawing, axes, legend

if TYPE_CHECKING:
    import numpy as np

    from harness.session import Session

ONE, TWO, THREE, FOUR = "#0b6fa4", "#c2580a", "#3d8f4e", "#7a5ab5"
SINGLE_HEADS = 6  # drawn by default: the best ones of the run
CELL = 9.0


def write_figures(session: Session, outcome: dict[str, Any], folder: Path) -> list[Path]:
    """Writes heads.svg, kinds.svg, cover.svg, replacement.svg (after `headscript replace`) and L2H3.svg of the best heads."""
    from search.folder import write_atomically

    model = session.description["model"]
    drawings = {"heads": heads(outcome, model), "kinds": heads(outcome, model, by_kind=True), "cover": cover(outcome)}
    if session.folder.has("replace.json"):
        drawings["replacement"] = replacement(session.folder.read("replace.json"))
    for record in sorted(outcome["heads"], key=lambda r: -r["iou"]["test"])[:SINGLE_HEADS]:
        drawings[f"L{record['layer']}H{record['head']}"] = single_head(session, record)
    paths = []
    for name, drawing in drawings.items():
        paths.append(folder / f"{name}.svg")
        write_atomically(paths[-1], str(drawing).encode())
    return paths


def heads(outcome: dict[str, Any], model: dict[str, Any], by_kind: bool = False) -> Drawing:
    """All heads, layers upwards: their IoU on `test`, or their kind."""
    cell, left, top = 30.0, 44.0, 14.0
    columns, rows = model["heads"], model["layers"]
    kinds = [k for k in colours.KINDS if any(r["kind"] == k for r in outcome["heads"])]
    height = top + rows * cell + 62 + 15 * max(1, ceil(len(kinds) / 2) if by_kind else 1)
    width = max(left + columns * cell + 12, 300)
    drawing = Drawing(
        width, height, f"{outcome['target']}: {'kind of each head' if by_kind else 'IoU of each head with its program'}"
    )
    for record in outcome["heads"]:
        x, y = left + record["head"] * cell, top + (rows - 1 - record["layer"]) * cell
        iou = record["iou"]["test"]
        fill = colours.kind(record["kind"]) if by_kind else colours.at(colours.sequential(False), iou)
        drawing.rect(x + 0.5, y + 0.5, cell - 1, cell - 1, fill)
        label = colours.letters(record["kind"]) if by_kind else f"{100 * iou:.0f}"
        drawing.text(x + cell / 2, y + cell / 2 + 3.5, label, 10, "middle", INK if colours.is_light(fill) else "#ffffff")
    for column in range(columns):
        drawing.text(left + (column + 0.5) * cell, top + rows * cell + 13, str(column), anchor="middle")
    for row in range(rows):
        drawing.text(left - 6, top + (rows - 1 - row + 0.5) * cell + 3.5, str(row), anchor="end")
    base = top + rows * cell + 28
    drawing.text(left + columns * cell / 2, base, "head", 11, "middle", INK)
    drawing.text(14, top + rows * cell / 2, "layer", 11, "middle", INK, -90)
    if by_kind:
        for i, name in enumerate(kinds):
            x, y = left + (i % 2) * 130, base + 10 + (i // 2) * 15
            drawing.rect(x, y, 10, 10, colours.kind(name))
            drawing.text(x + 14, y + 9, f"{colours.letters(name)} {name}", 9)
    else:
        scale(
            drawing, left, base + 12, colours.sequential(False), [(t, t) for t in (0, 0.25, 0.5, 0.75, 1)], "IoU × 100 in the cells"
        )
    return drawing


def cover(outcome: dict[str, Any]) -> Drawing:
    """Mean IoU over all heads by the size of the library."""
    curve, drawing = outcome["curve"], Drawing(460, 270, f"{outcome['target']}: mean IoU by the library's size")
    last = max(c["size"] for c in curve)
    own = outcome["mean_iou"]["test"]
    top = min(1.0, max(own, *(c["bound"] for c in curve)) * 1.08)
    x, y = Axis(min(1, last - 1), last, 52, 446, whole=True), Axis(0, top, 226, 12)
    axes(drawing, x, y, "programs in the library", "mean IoU")
    drawing.line([(x.start, y(own)), (x.end, y(own))], FOUR, 1.2, "5 4")
    for key, colour, dash in (("bound", THREE, "5 4"), ("select", TWO, ""), ("test", ONE, "")):
        drawing.line([(x(c["size"]), y(c[key])) for c in curve], colour, 1.8, dash)
    for c in curve:
        drawing.dot(x(c["size"]), y(c["test"]), ONE)
    entries = (("own programs, test", FOUR, "5 4"), ("bound on select", THREE, "5 4"), ("select", TWO, ""), ("test", ONE, ""))
    legend(drawing, 310, 166, entries)
    return drawing


def replacement(measured: dict[str, Any]) -> Drawing:
    """What replacement costs by the share of heads replaced; programs against the baselines.

    Increase of perplexity, or for a model that does not predict tokens the relative error of its hidden states.
    """
    told = measured["increase_percent"] is not None
    key, label = ("increase_percent", "perplexity increase, %") if told else ("relative_error", "relative error of hidden states")
    curve = measured["curve"]
    lines = {"programs": [(100 * c["fraction"], c[key]) for c in curve]}
    for c in curve:  # baselines are measured at some of the shares
        for name, figures in c["baselines"].items():
            lines.setdefault(name, []).append((100 * c["fraction"], figures[key]))
    band = [c[f"{key}_interval"] for c in curve]
    values = [v for line in lines.values() for _, v in line] + [v for pair in band for v in pair]
    drawing = Drawing(460, 270, f"{label} by the share of heads replaced")
    x, y = Axis(0, 100, 52, 446), Axis(min(0, *values), max(1 if told else 0.1, *values) * 1.1, 226, 12, log=told)
    axes(drawing, x, y, "heads replaced, %", label)
    at = [x(100 * c["fraction"]) for c in curve]
    edge = [(a, y(v)) for a, (v, _) in zip(at, band, strict=True)] + [(a, y(v)) for a, (_, v) in zip(at, band, strict=True)][::-1]
    drawing.polygon(edge, ONE, 0.16)
    entries = []
    for name, colour in zip(lines, (ONE, TWO, THREE, FOUR, MUTED), strict=False):
        dash = "" if name == "programs" else "5 4"
        drawing.line([(x(share), y(v)) for share, v in lines[name]], colour, 1.8, dash)
        for share, v in lines[name]:
            drawing.dot(x(share), y(v), colour)
        entries.append((name, colour, dash))
    legend(drawing, 330, 222 - 15 * len(entries), entries)
    return drawing


def single_head(session: Session, record: dict[str, Any], split: str = "test") -> Drawing:
    """The model's matrix, the program's and their difference on the first long enough text of a split."""
    from dsl import Batch, evaluate, parse

    texts, store, model = session.texts(split), session.store(split), session.description["model"]
    index = choose([len(t) for t in texts], 1)[0]
    text = texts[index]
    n = min(len(text), MOST_TOKENS)
    program = evaluate(parse(record["program"]), Batch([text], model["causal"], shared_window(model)))[0, :n, :n]
    true = store.matrix(record["layer"], record["head"], index)[:n, :n].astype(program.dtype)
    label, size, gap, top = 70.0, n * CELL, 18.0, 96.0
    iou = record["iou"][split]
    drawing = Drawing(
        label + 3 * size + 2 * gap + 8, top + size + 40, f"L{record['layer']}H{record['head']}, IoU {iou:.3f} on {split}"
    )
    for i, (name, matrix) in enumerate((("model", true), ("program", program), ("program − model", program - true))):
        left = label + i * (size + gap)
        drawing.text(left, 14, name, 12, fill=INK)
        _matrix(drawing, left, top, matrix, model["causal"], signed=i == 2)
        for k, token in enumerate(text.tokens[:n]):
            drawing.text(left + (k + 0.5) * CELL + 2.5, top - 4, _token(token), 7.5, turn=-90, font=MONO)
    for q, token in enumerate(text.tokens[:n]):
        drawing.text(label - 4, top + (q + 0.5) * CELL + 2.5, _token(token), 7.5, "end", font=MONO)
    marks = [(sqrt(t), t) for t in (0, 0.05, 0.25, 1)]
    scale(drawing, label, top + size + 10, colours.sequential(False), marks, "weight")
    signed = [((copysign(sqrt(abs(t)), t) + 1) / 2, t) for t in (-1, -0.25, 0, 0.25, 1)]
    scale(drawing, label + 2 * (size + gap), top + size + 10, colours.diverging(False), signed, "difference")
    return drawing


def scale(drawing: Drawing, x: float, y: float, ramp: tuple[str, ...], marks: list[tuple[float, float]], label: str) -> None:
    """A colour scale 130 wide with numbers: (place from 0 to 1, number)."""
    step = 130 / len(ramp)
    for i, colour in enumerate(ramp):
        drawing.rect(x + i * step, y, step + 0.4, 8, colour)
    for place, number in marks:
        drawing.text(x + place * 130, y + 18, f"{number:g}", 8.5, "middle")
    drawing.text(x + 140, y + 8, label, 9)


def _matrix(drawing: Drawing, left: float, top: float, matrix: np.ndarray, causal: bool, signed: bool) -> None:
    """Cells by the square root of their weight; zero cells are left to one ground shape."""
    ramp = colours.diverging(False) if signed else colours.sequential(False)
    n = len(matrix)
    ground = colours.at(ramp, 0.5 if signed else 0)
    corners = [(left, top), (left + n * CELL, top + n * CELL), (left, top + n * CELL)]
    if not causal:
        corners.insert(1, (left + n * CELL, top))
    drawing.polygon(corners, ground, 1)
    for q in range(n):
        for k in range(q + 1 if causal else n):
            value = float(matrix[q, k])
            place = copysign(sqrt(abs(value)), value)
            fill = colours.at(ramp, (place + 1) / 2 if signed else place)
            if fill != ground:
                drawing.rect(left + k * CELL, top + q * CELL, CELL, CELL, fill)


def _token(token: str) -> str:
    """A token as it is read on an axis: spaces and line breaks made visible, cut at ten characters."""
    shown = token.translate(str.maketrans(" \n\t", "·↵⇥")) or "∅"
    return shown if len(shown) <= 10 else shown[:9] + "…"
