"""`headscript export RUN L2H3`: a head's program as a Python module that needs nothing but numpy."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from harness import output


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("head", metavar="L2H3", help="the head whose program is written")
    parser.add_argument("--out", metavar="FILE", help="where to write (default: standard output)")


def main(args: Namespace) -> int:
    from dsl import parse, to_module
    from harness.commands.show import find_head
    from harness.session import open_run, outcome_of
    from search.folder import write_atomically

    record = find_head(outcome_of(open_run(args.run)), args.head)
    module = to_module(parse(record["program"]), args.head.upper())
    if args.out:
        write_atomically(Path(args.out), module.encode())
    if args.json:
        output.document({"head": args.head.upper(), "program": record["program"], "module": module, "file": args.out})
    elif not args.out:
        print(module)
    return 0
