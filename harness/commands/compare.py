"""`headscript compare RUN RUN…`: the same heads under several runs."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from harness import output
from harness.errors import UsageError


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="two or more run folders; the others are compared with the first")
    parser.add_argument("--page", metavar="FILE", help="also write the table as an HTML page")


def main(args: Namespace) -> int:
    from harness.comparison import compared, page
    from search.folder import write_atomically

    if len(args.runs) < 2:
        raise UsageError("compare needs two runs at least")
    found = compared(args.runs)
    if args.page:
        write_atomically(Path(args.page), page(found).encode())
    if args.json:
        output.document(found)
        return 0
    names = [run["name"] for run in found["runs"]]
    rows = [
        (
            row["head"],
            *("" if iou is None else f"{iou:.3f}" for iou in row["iou"]),
            "" if row["gain"] is None else f"{row['gain']:+.3f}",
            row["programs"],
        )
        for row in found["heads"]
    ]
    print(output.table(rows, ("head", *names, "gain", "programs"), (False, *(True for _ in names), True, False)))
    print(f"\n{found['summary']}")
    for line in found["notes"]:
        output.note(line)
    return 0
