"""`headscript cover RUN --size K`: a small library that covers all heads, from all programs of a run."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from harness import output
from harness.cli import positive


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--size", type=positive(), required=True, metavar="K", help="programs in the library")
    parser.add_argument("--exact", action="store_true", help="the optimum, as a mixed-integer program")
    parser.add_argument("--seconds", type=positive(float), default=60.0, help="time for --exact (default: 60)")


def main(args: Namespace) -> int:
    import numpy as np

    from harness.session import open_run, outcome_of
    from search.cover import curve, exact, greedy, held_out

    session = open_run(args.run)
    outcome_of(session)  # refuses a run that has not finished
    pool = session.folder.read("programs.json")
    _, select, test = session.folder.read_array("scores.npy")
    cost = np.array(pool["sizes"])
    cover = exact(select, args.size, args.seconds) if args.exact else greedy(select, args.size, cost)
    steps = curve(select, args.size, cost)
    result = {
        "size": args.size,
        "method": "exact" if args.exact else "greedy",
        "select": cover.value,
        "test": held_out(select, test, cover.chosen),
        "bound": cover.bound,
        "gap": cover.gap,
        "programs": [pool["programs"][p] for p in cover.chosen],
        "curve": [
            {"size": len(c.chosen), "select": c.value, "test": held_out(select, test, c.chosen), "bound": c.bound} for c in steps
        ],
    }
    if args.json:
        output.document(result)
        return 0
    rows = [(c["size"], f"{c['select']:.3f}", f"{c['test']:.3f}", f"{c['bound']:.3f}") for c in result["curve"]]
    print(output.table(rows, ("size", "select", "test", "bound on select"), (True,) * 4))
    found = f"{result['method']}: {output.plural(len(cover.chosen), 'program')}"
    print(f"\n{found}, select {cover.value:.4f} (at most {cover.gap:.4f} below the optimum)")
    for program in result["programs"]:
        print(f"\n{program}")
    return 0
