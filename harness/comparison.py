"""Several runs side by side: the IoU of every head in each, what the last one gained on the first, which programs are the same."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.heads import Head, name
from harness.output import plural
from harness.report import colours
from harness.session import open_run, outcome_of


def compared(paths: Sequence[str | Path]) -> dict[str, Any]:
    """{"runs", "heads": [{"head", "iou" per run, "gain", "programs"}], "summary", "notes"}; IoU on test, gain of the last run.

    Raises UserError for runs that have no head in common.
    """
    sessions = [open_run(path) for path in paths]
    outcomes = [outcome_of(session) for session in sessions]
    names = _names(paths)
    records: list[dict[Head, dict[str, Any]]] = [{(r["layer"], r["head"]): r for r in o["heads"]} for o in outcomes]
    every = sorted(set().union(*records))
    both = [h for h in every if h in records[0] and h in records[-1]]
    if not both:
        raise UserError(f"{names[0]} and {names[-1]} have no head in common")
    rows: list[dict[str, Any]] = []
    for head in every:
        here = [r.get(head) for r in records]
        iou: list[Any] = [r["iou"]["test"] if r else None for r in here]
        known = [r["program"] for r in here if r]
        same = "same" if len(known) == len(paths) and len(set(known)) == 1 else "differ" if len(known) > 1 else ""
        gain = iou[-1] - iou[0] if head in both else None
        rows.append({"head": name(head), "iou": iou, "gain": gain, "programs": same})
    gains = [float(row["gain"]) for row in rows if row["gain"] is not None]
    means = [sum(r[h]["iou"]["test"] for h in both) / len(both) for r in (records[0], records[-1])]
    same = sum(records[0][h]["program"] == records[-1][h]["program"] for h in both)
    summary = (
        f"{plural(len(both), 'head')} in both: mean IoU {means[0]:.3f} -> {means[1]:.3f}; {sum(g > 0.005 for g in gains)} better, "
        f"{sum(g < -0.005 for g in gains)} worse by more than 0.005; {plural(same, 'program')} the same"
    )
    settings = [s.settings for s in sessions]
    notes = []
    if len({s["text"] for s in settings}) > 1:
        notes.append("the runs have different texts; each IoU is on the test texts of its own run")
    if len({s["target"] for s in settings}) > 1:
        notes.append("the runs are of different models")
    return {
        "runs": [
            {"name": n, "path": str(p), "target": o["target"], "seed": s["seed"], "evaluations": o["evaluations"]}
            for n, p, o, s in zip(names, paths, outcomes, settings, strict=True)
        ],
        "heads": rows,
        "summary": summary,
        "notes": notes,
    }


def page(found: dict[str, Any]) -> str:
    """The comparison as an HTML page that needs nothing but itself, and no script."""
    head = "".join(f"<th>{escape(run['name'])}</th>" for run in found["runs"])
    body = "".join(
        f"<tr><th>{row['head']}</th>{''.join(_cell(iou) for iou in row['iou'])}"
        f"<td>{'' if row['gain'] is None else format(row['gain'], '+.3f')}</td><td>{row['programs']}</td></tr>"
        for row in found["heads"]
    )
    notes = "".join(f"<p>{escape(line)}</p>" for line in (found["summary"], *found["notes"]))
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;margin:24px;color-scheme:light dark}"
        "table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:2px 12px;text-align:right}"
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Runs compared</title><style>{style}</style></head><body><h1>Runs compared</h1>{notes}"
        f"<table><tr><th>head</th>{head}<th>gain</th><th>programs</th></tr>{body}</table></body></html>\n"
    )


def _cell(iou: float | None) -> str:
    if iou is None:
        return "<td></td>"
    ground = colours.at(colours.sequential(False), iou)
    return f'<td style="background:{ground};color:{"#14181d" if colours.is_light(ground) else "#ffffff"}">{iou:.3f}</td>'


def _names(paths: Sequence[str | Path]) -> list[str]:
    """The folders' names; where two are alike, the whole paths."""
    short = [Path(p).resolve().name for p in paths]
    return short if len(set(short)) == len(short) else [str(p) for p in paths]
