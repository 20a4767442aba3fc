"""`headscript export RUN L2H3`: a head's program as a Python module that needs nothing but numpy."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from harness import output


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("head", metavar="L2H3", help="the head whose program is written")
    parser.add_argument("--full", action="store_true", help="the head's largest program instead of the one worth its size")
    parser.add_argument("--out", metavar="FILE", help="where to write (default: standard output)")


def main(args: Namespace) -> int:
    from dsl import parse, to_module
    from harness.commands.show import find_head
    from harness.session import open_run, outcome_of
    from search.folder import write_atomically

    session = open_run(args.run)
    record = find_head(outcome_of(session, args.full), args.head)
    name, program = f"L{record['layer']}H{record['head']}", record["program"]
    model = session.description["model"]
    window = model["windows"][record["layer"]]
    # A module knows nothing of the model: what the layer cannot reach becomes a last rule, which masks as the model does.
    reach = f"\nwhen abs(dist) >= {window} set 0" if window else ""
    module = to_module(parse(program + reach), name, model["causal"])
    told = {"size": record["size"], "full": args.full}
    which = "largest" if args.full else "shown"
    output.note(f"{name}: the {which} program, size {record['size']}, IoU {record['iou']['test']:.3f} on test")
    if args.out:
        write_atomically(Path(args.out), module.encode())
    if args.json:
        output.document({"head": name, "program": program, **told, "module": module, "file": args.out})
    elif not args.out:
        print(module, end="")
    return 0
