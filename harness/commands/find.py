"""`headscript find RUN… PHRASE`: programs of any runs that use a word, a concept or a relation, or that do what a program does."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from harness import output
from harness.errors import UsageError


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="+", metavar="RUN|PHRASE", help="run folders, and last, without --like, the PHRASE: 'sentence_end(k)'"
    )
    parser.add_argument(
        "--like", metavar="PROGRAM", help="instead of a phrase, a program or its file: what does nearly the same comes first"
    )
    parser.add_argument("--most", type=int, default=20, metavar="N", help="so many programs at most (default: 20)")


def main(args: Namespace) -> int:
    from harness.finding import containing, like

    runs, phrase = (args.runs, args.like) if args.like else (args.runs[:-1], args.runs[-1])
    if not runs:
        raise UsageError("find needs a run and a phrase, as in: headscript find runs/demo 'newline(k)'")
    found = like(runs, _program(phrase)) if args.like else containing(runs, phrase)
    shown = found[: args.most]
    if args.json:
        output.document({"phrase": phrase, "total": len(found), "programs": shown})
    else:
        for hit in shown:
            close = f", does the same to {hit['closeness']:.3f}" if "closeness" in hit else ""
            used = ", ".join(hit["heads"]) if hit["heads"] else "in a front only"
            print(f"# {hit['run']}: {used}; IoU {hit['iou']:.3f} on {hit['best']}{close}\n{hit['program']}\n")
        print(f"{output.plural(len(found), 'program')}{f', the first {len(shown)} shown' if len(shown) < len(found) else ''}")
    return 0 if found else 1


def _program(given: str) -> str:
    """The text of a program that is given as such or as a file. Raises UserError, one line, for a file that is not there."""
    from harness.commands.check import read

    path = Path(given)
    return read(path) if path.suffix == ".pattern" or path.is_file() else given
