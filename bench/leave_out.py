"""What programs are worth on a kind of text that they were not searched on: each kind is left out in turn, a run each.

    python bench/leave_out.py --target MODEL --text stories=A --text wiki=B [--heads L2H3,L7H2] [--evaluations N] [--out DIR]

For each kind: mean IoU on its test texts of programs searched on all kinds, and of programs searched on the others alone; what
follows `--` goes to `headscript run`. The runs stay in DIR, and a repeated command continues them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.domains import sources, text_options


def main() -> int:
    own, more = split(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", required=True)
    text_options(parser, default="the mixture that ships with the project")
    parser.add_argument("--heads", default="all")
    parser.add_argument("--evaluations", type=int, default=None)
    parser.add_argument("--out", type=Path, default=Path("runs/leave-out"))
    args = parser.parse_args(own)
    names = [source.name for source in sources(args.text or ["mixture"], args.column)]
    if len(names) < 2:
        parser.error("give at least two kinds of text")
    whole = campaign(args, more, None)
    print("| left out | searched on all | searched on the others | loss | library: all | library: others | median size |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name in names:
        print(row(name, whole, campaign(args, more, name)), flush=True)
    return 0


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments before and after `--`."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def campaign(args: argparse.Namespace, more: list[str], left_out: str | None) -> dict[str, Any]:
    """The JSON document of a run on all kinds of text, or on all but one."""
    command = [sys.executable, "-m", "harness.cli", "run", args.target, "--heads", args.heads, "--column", args.column, "--json"]
    for text in args.text or ["mixture"]:
        command += ["--text", text]
    if args.evaluations:
        command += ["--evaluations", str(args.evaluations)]
    if left_out:
        command += ["--hold-out", left_out]
    command += ["--out", str(args.out / (f"without-{left_out}" if left_out else "all")), *more]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def row(name: str, whole: dict[str, Any], without: dict[str, Any]) -> str:
    known, unknown = (outcome["domains"][name]["test"] for outcome in (whole, without))
    library = [outcome["library_domains"][name]["test"] for outcome in (whole, without)]
    cells = [known, unknown, known - unknown, *library]
    return f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + f" | {without['median_size']:g} |"


if __name__ == "__main__":
    sys.exit(main())
