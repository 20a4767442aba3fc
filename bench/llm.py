"""What answers of language models add: campaigns with and without them, and from them alone, each at the same budget.

    python bench/llm.py --target MODEL --text stories=A --text code=B --answers FOLDER [--heads L2H3,…] [--hold-out code]

FOLDER holds recorded answers (docs/llm.md, "Replaying answers"); what follows `--` goes to `headscript run`. All campaigns share
settings, seed and the evaluations that they may spend (`--evaluations`); the table says how many each did spend. Programs are
chosen on `select` and reported on `test`: the shown ones; those of at most --short tokens; and on a kind of text that is held out.
The campaigns stay in DIR, and a repeated command continues them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.leave_out import split
from bench.targets import table
from harness.domains import text_options

ROWS = {
    "search alone": [],
    "search and language model": ["--llm", "replay:{answers}"],
    "language model alone": ["--llm", "replay:{answers}", "--proposers", "llm"],
}


def main() -> int:
    own, more = split(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True)
    text_options(parser, default="the mixture that ships with the project")
    parser.add_argument("--answers", required=True, type=Path)
    parser.add_argument("--heads", default="all")
    parser.add_argument("--hold-out", metavar="NAME", help="a kind of text that is measured alone")
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--short", type=int, default=50, help="tokens (default: 50)")
    parser.add_argument("--out", type=Path, default=Path("runs/llm"))
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    args = parser.parse_args(own)
    rows = []
    for name in args.rows:
        folder = args.out / name.replace(" ", "-")
        outcome = campaign(args, [part.format(answers=args.answers) for part in ROWS[name]] + more, folder)
        rows.append(row(name, outcome, folder, args))
    kinds = list(outcome["domains"])
    print(
        table(
            [
                "campaign",
                "mean",
                *kinds,
                "size",
                f"within {args.short}",
                "largest",
                "library",
                "by model",
                "calls",
                "tokens",
                "scored",
            ],
            rows,
        )
    )
    print("mean: over heads and kinds of text not held out; size: mean / median; by model: shown programs that descend from it")
    return 0


def campaign(args: argparse.Namespace, options: list[str], folder: Path) -> dict[str, Any]:
    """The JSON document of one run."""
    command = [sys.executable, "-m", "harness.cli", "run", args.target, "--heads", args.heads, "--column", args.column, "--json"]
    for text in args.text or ["mixture"]:
        command += ["--text", text]
    if args.evaluations:
        command += ["--evaluations", str(args.evaluations)]
    if args.hold_out:
        command += ["--hold-out", args.hold_out]
    command += ["--out", str(folder), *options]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def row(name: str, outcome: dict[str, Any], folder: Path, args: argparse.Namespace) -> list[str]:
    heads = outcome["heads"]
    sizes = [h["size"] for h in heads]
    asked = outcome.get("llm", {})
    short, length = within(outcome, folder, args.short)
    return [
        name,
        f"{outcome['mean_iou']['test']:.3f}",
        *(f"{figure['test']:.3f}" for figure in outcome["domains"].values()),
        f"{sum(sizes) / len(sizes):.0f} / {outcome['median_size']:.0f}",
        f"{short:.3f} at {length:.0f}",
        f"{outcome['full_program']['mean_iou']['test']:.3f} at {outcome['full_program']['median_size']:.0f}",
        f"{outcome['library_mean_iou']['test']:.3f}",
        f"{sum(h['root'] == 'llm' for h in heads)} of {len(heads)}",
        str(asked.get("calls", 0)),
        f"{asked.get('tokens', 0):,}",
        f"{outcome['evaluations']:,}",
    ]


def within(outcome: dict[str, Any], folder: Path, most: int) -> tuple[float, float]:
    """Mean IoU on `test` and mean size of each head's program that is best on `select` among those of at most so many tokens."""
    from dsl import parse
    from search import workspace
    from search.folder import RunFolder
    from search.scoring import score

    per_layer = RunFolder(folder).description()["model"]["heads"]
    problem = workspace.problem(str(folder), "test")
    found, sizes = [], []
    for h in outcome["heads"]:
        able = [f for f in h["front"] if f["size"] <= most]
        if not able:
            raise SystemExit(f"L{h['layer']}H{h['head']} has no program of at most {most} tokens")
        best = max(able, key=lambda f: f["select"])
        found.append(float(problem.mean(score([parse(best["program"])], problem, [h["layer"] * per_layer + h["head"]])[0, 0])))
        sizes.append(best["size"])
    return sum(found) / len(found), sum(sizes) / len(sizes)


if __name__ == "__main__":
    sys.exit(main())
