"""`headscript cover RUN --size K`: a small library that covers all heads, from all programs of a run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from harness import output
from harness.cli import positive


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--size", type=positive(), required=True, metavar="K", help="programs in the library")
    parser.add_argument("--full", action="store_true", help="by IoU alone, however long the programs are")
    parser.add_argument("--exact", action="store_true", help="the optimum, as a mixed-integer program")
    parser.add_argument("--seconds", type=positive(float), default=60.0, help="time for --exact (default: 60)")


def main(args: Namespace) -> int:
    import numpy as np

    from harness.session import open_run, outcome_of
    from search.cover import curve, exact, greedy, held_out, limit, limits, worth

    session = open_run(args.run)
    parsimony = 0.0 if args.full else outcome_of(session)["parsimony"]  # refuses a run that has not finished
    pool = session.folder.read("programs.json")
    select, test = session.folder.read_array("scores.npy")
    sizes = np.array(pool["sizes"])
    value = worth(select, sizes, parsimony)
    cover = exact(value, args.size, args.seconds) if args.exact else greedy(value, args.size, sizes)
    chosen = list(cover.chosen)
    served = value[chosen].argmax(0)
    library = [
        {
            "id": f"P{i + 1}",
            "program": pool["programs"][p],
            "size": int(sizes[p]),
            "heads": [head for head, s in zip(pool["heads"], served, strict=True) if s == i],
        }
        for i, p in enumerate(chosen)
    ]
    steps = curve(value, args.size, sizes)
    result = {
        "size": args.size,
        "method": "exact" if args.exact else "greedy",
        "full": args.full,
        "parsimony": parsimony,
        "select": held_out(value, select, cover.chosen),
        "test": held_out(value, test, cover.chosen),
        "bound": limit(select, cover.chosen),
        "gap": cover.gap,
        "programs": [p["program"] for p in library],
        "library": library,
        "curve": [
            {
                "size": len(c.chosen),
                "select": held_out(value, select, c.chosen),
                "test": held_out(value, test, c.chosen),
                "bound": bound,
            }
            for c, bound in zip(steps, limits(select, steps), strict=True)
        ],
    }
    if args.json:
        output.document(result)
    else:
        print(_page(result))
    return 0


def _page(result: dict[str, Any]) -> str:
    names = ("select", "test", "bound")
    rows = [(c["size"], *(f"{c[name]:.3f}" for name in names)) for c in result["curve"]]
    worth = "IoU alone" if result["full"] else f"IoU - {result['parsimony']:g} x size"
    said = (
        f"{result['method']}: {output.plural(len(result['library']), 'program')}, IoU {result['select']:.4f} on select, "
        f"{result['test']:.4f} on test; chosen by {worth} on select, at most {result['gap']:.4f} below the optimum"
    )
    parts = [output.table(rows, ("programs", "select", "test", "bound on select"), (True,) * 4), said]
    for p in result["library"]:
        heads = ", ".join(f"L{layer}H{head}" for layer, head in p["heads"])
        parts.append(
            f"{p['id']} (size {p['size']}) for {output.plural(len(p['heads']), 'head')}: {heads or 'none'}\n{p['program']}"
        )
    return "\n\n".join(parts)
