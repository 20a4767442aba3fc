"""What answers of language models add: campaigns with and without them, and the raw answers as the honest baseline.

    python bench/llm.py --target MODEL --text TEXTS --answers FOLDER [--annotator PIPELINE] [--out DIR]

FOLDER holds recorded answers (docs/llm.md, "Replaying answers"). All campaigns share settings, seed and the evaluations that they
may spend (`--evaluations`); the table says how many each did spend. Programs are chosen on `select` and reported on `test`. The
campaigns stay in DIR, and a repeated command continues them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROWS = {
    "search alone": [],
    "search and answers": ["--llm", "replay:{answers}"],
    "answers alone": ["--llm", "replay:{answers}", "--proposers", "llm"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--answers", required=True, type=Path)
    parser.add_argument("--annotator")
    parser.add_argument("--heads", default="all")
    parser.add_argument("--evaluations", type=int, default=400_000)
    parser.add_argument("--out", type=Path, default=Path("runs/llm"))
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    args = parser.parse_args()
    print("| campaign | evaluations | mean test IoU | 95% interval | library of K | of LLM descent: heads / library | answers |")
    print("|---|---|---|---|---|---|---|")
    for name in args.rows:
        folder = args.out / name.replace(" ", "-")
        outcome = campaign(args, [part.format(answers=args.answers) for part in ROWS[name]], folder)
        print(row(name, outcome), flush=True)
        if name == "answers alone":
            print(raw(folder), flush=True)
    return 0


def campaign(args: argparse.Namespace, options: list[str], folder: Path) -> dict[str, Any]:
    """The JSON document of one run."""
    command = [sys.executable, "-m", "harness.cli", "run", args.target, "--text", args.text, "--heads", args.heads, "--json"]
    command += ["--evaluations", str(args.evaluations), "--out", str(folder), *options]
    if args.annotator:
        command += ["--annotator", args.annotator]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def row(name: str, outcome: dict[str, Any]) -> str:
    low, high = outcome["interval"]
    heads = sum(h["root"] == "llm" for h in outcome["heads"])
    library = sum(p["root"] == "llm" for p in outcome["library"])
    said = outcome.get("llm", {}).get("programs", {})
    answers = ", ".join(f"{n} {status}" for status, n in said.items() if n) or "none"
    own, shared = outcome["mean_iou"]["test"], outcome["library_mean_iou"]["test"]
    return (
        f"| {name} | {outcome['evaluations']:,} | {own:.3f} | {low:.3f} to {high:.3f} | {shared:.3f} "
        f"| {heads} of {len(outcome['heads'])} / {library} of {len(outcome['library'])} | {answers} |"
    )


def raw(folder: Path) -> str:
    """The lifted answers as they are, unfitted: each head's own, and the best of all (best of N), chosen on `select`."""
    import numpy as np

    from dsl import parse
    from search import workspace
    from search.folder import RunFolder
    from search.scoring import score

    run = RunFolder(folder)
    description = run.description()
    per_layer = description["model"]["heads"]
    rows = [layer * per_layer + head for layer, head in description["settings"]["heads"]]
    proposals = [p for path in sorted((folder / "rounds").glob("*.json")) for p in json.loads(path.read_text())["proposals"]]
    usable = [p for p in proposals if p["program"] is not None]
    programs = [parse(p["program"]) for p in usable]
    problems = (workspace.problem(str(folder), split) for split in ("select", "test"))
    select, test = (problem.mean(score(programs, problem, rows)) for problem in problems)
    best = select.argmax(0)
    everyone = float(np.mean([test[p, h] for h, p in enumerate(best)]))
    own = []
    for h, row_ in enumerate(rows):
        mine = [i for i, p in enumerate(usable) if p["head"] == list(divmod(row_, per_layer))]
        if mine:
            own.append(test[max(mine, key=lambda i: select[i, h]), h])
    return (
        f"| answers, raw, best of {len(programs)} | {len(programs) * len(rows):,} | {everyone:.3f} | | | | |\n"
        f"| answers, raw, each head's own | {len(own):,} | {np.mean(own):.3f} ({len(own)} heads) | | | | |"
    )


if __name__ == "__main__":
    sys.exit(main())
