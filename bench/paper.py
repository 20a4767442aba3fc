"""The tables of the method's paper with our columns beside them, from finished runs.

    python bench/paper.py [NAME=]RUN… [--refit 3] [--tasks FILE|NAME…] [--questions 300] [--write docs/paper.md]

Mean IoU on test texts, increase of perplexity at 10, 25, 40, 50 and 100% of heads, accuracy at 0, 25, 50 and 100%. What was
measured before is read from the run folders, so that a second call takes seconds. --write puts the tables between the page's marks.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.commands import replace
from harness.commands._replace_page import percent
from harness.commands._replace_tasks import load_tasks
from harness.session import open_run, outcome_of

SHARES = (0.1, 0.25, 0.4, 0.5, 1.0)
TASK_SHARES = (0.0, 0.25, 0.5, 1.0)
MARKS = ("<!-- tables: bench/paper.py -->", "<!-- end of tables -->")

# Hayes, Li, Andreas 2026 (arXiv 2606.19317): chosen and scored on the same five sentences; at 100% the published code multiplied
# the pattern at the wrong place, and no corrected figures are known.
IOU = {"BERT-base": 0.34, "GPT-2": 0.69, "TinyLlama": 0.74, "Llama-3.2-3B": 0.79}
PERPLEXITY = {
    "GPT-2": (4, 5, 16, 22, None),
    "TinyLlama": (4, 11, 22, 51, None),
    "Llama-3.2-3B": (6, 19, 35, 110, None),
    "BERT": (9, 24, 116, 185, None),
}
ACCURACY = {  # of Llama-3.2-3B at TASK_SHARES
    "hellaswag": (0.57, 0.555, 0.405, 0.245),
    "piqa": (0.78, 0.755, 0.72, 0.56),
    "sciq": (0.72, 0.655, 0.535, 0.35),
    "arc_easy": (0.58, 0.57, 0.44, 0.275),
    "social_iqa": (0.475, 0.45, 0.345, 0.365),
    "copa": (0.75, 0.73, 0.67, 0.54),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="[NAME=]RUN")
    parser.add_argument(
        "--refit", type=int, metavar="PASSES", help="also with constants fitted in the model (headscript replace --refit)"
    )
    parser.add_argument("--tasks", nargs="+", default=[], metavar="NAME|FILE", help="asked of runs whose model predicts tokens")
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    args = parser.parse_args()
    named = [given.split("=", 1) if "=" in given else (Path(given).name, given) for given in args.runs]
    found = {name: figures(path, args.tasks, args.questions, args.refit) for name, path in named}
    text = "\n\n".join((iou_table(found), perplexity_table(found), *accuracy_tables(found)))
    print(text)
    if args.write:
        args.write.write_text(put(args.write.read_text(encoding="utf-8"), text), encoding="utf-8")


def figures(path: str, tasks: Sequence[str], questions: int, passes: int | None = None) -> dict[str, Any]:
    """The run's outcome, and what replacing its heads costs: the document of `headscript replace`, None for hidden states alone."""
    session = open_run(path)
    parser = argparse.ArgumentParser()
    replace.arguments(parser)
    shares = ",".join(str(share) for share in (0.25, *(s for s in {*SHARES, *TASK_SHARES} if s != 0.25)))
    args = parser.parse_args([path, "--fraction", shares, *(["--refit", str(passes)] if passes else [])])
    measured = replace.measured(args, session, load_tasks(tasks, questions))
    return {"outcome": outcome_of(session), "replaced": None if measured["perplexity"] is None else measured}


def iou_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Mean IoU of the best program per head: the paper's on its own sentences, ours on test texts by domain."""
    rows = [(name, f"{value:.2f}", "five sentences, chosen on them") for name, value in IOU.items()]
    for name, figures in found.items():
        outcome = figures["outcome"]
        domains: dict[str, list[float]] = {}
        for record in outcome["heads"]:
            for domain, splits in record.get("domains", {}).items():
                domains.setdefault(domain, []).append(splits["test"])
        told = ", ".join(f"{domain} {sum(values) / len(values):.3f}" for domain, values in domains.items())
        rows.append((name, f"{outcome['mean_iou']['test']:.3f}", told or "test texts"))
    return table(("model", "mean IoU", "on"), rows)


def perplexity_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Increase of perplexity by share of heads replaced; ours also by domain."""
    rows = [
        (f"{name} (paper)", *("–" if value is None else f"+{value}%" for value in values)) for name, values in PERPLEXITY.items()
    ]
    for name, figures in found.items():
        if figures["replaced"] is not None:
            points = {point["fraction"]: point for point in figures["replaced"]["curve"]}
            rows.append((name, *(percent(points[share]["increase_percent"]) for share in SHARES)))
            if all("second_round" in points[share] for share in SHARES):
                again = (points[share]["second_round"]["increase_percent"] for share in SHARES)
                rows.append((f"{name}, constants fitted in the model", *map(percent, again)))
            for domain in points[SHARES[0]].get("domains", {}):
                shown = (percent(points[share]["domains"][domain]["increase_percent"]) for share in SHARES)
                rows.append((f"{name}: {domain}", *shown))
    return table(("perplexity with heads replaced", *(f"{share:.0%}" for share in SHARES)), rows)


def accuracy_tables(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Accuracy by share of heads, the paper's Llama-3.2-3B beside each run with a language-model head that was asked."""
    tables = []
    for name, figures in found.items():
        tasks = figures["replaced"]["tasks"] if figures["replaced"] else {}
        rows = []
        for task, asked in tasks.items():
            points = {point["fraction"]: point for point in asked["curve"]}
            ours = [f"{points[s]['acc']:.3f} / {points[s]['acc_norm']:.3f}" for s in TASK_SHARES]
            paper = [f"{value:.3f}" for value in ACCURACY.get(task, ())] or ["–"] * len(TASK_SHARES)
            rows.append((f"{task} ({asked['questions']})", *ours, f"{asked['random']:.2f}", " ".join(paper)))
        if rows:
            shares = [f"{share:.0%}" for share in TASK_SHARES]
            tables.append(table((f"{name}: acc / acc_norm", *shares, "guessing", "Llama-3.2-3B (paper)"), rows))
    return tables


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))


def put(page: str, tables: str) -> str:
    """The page with `tables` between its marks."""
    start, end = map(re.escape, MARKS)
    if not re.search(f"{start}.*{end}", page, re.DOTALL):
        raise SystemExit(f"the page has no {MARKS[0]} … {MARKS[1]}")
    return re.sub(f"{start}.*{end}", lambda _: f"{MARKS[0]}\n\n{tables}\n\n{MARKS[1]}", page, flags=re.DOTALL)


if __name__ == "__main__":
    main()
