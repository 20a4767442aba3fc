"""`headscript run [TARGET]`: search programs for the heads of a model."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import output
from harness.cli import positive

if TYPE_CHECKING:
    from harness.session import Session

EVALUATIONS = 400_000
TARGET_HELP = "demo (default), a Hugging Face id, or a model folder"
TEXT_HELP = "demo (default), a .jsonl/.txt/.csv/.parquet file, a folder with train/validation/test files, or a datasets id"


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", default="demo", metavar="TARGET", help=TARGET_HELP)
    parser.add_argument("--text", default="demo", metavar="T", help=TEXT_HELP)
    parser.add_argument("--heads", default="all", help="all (default), L2, L2H3, or several with commas")
    parser.add_argument("--out", metavar="DIR", help="the run folder (default: runs/TARGET); an existing one is continued")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same result (default: 0)")
    parser.add_argument("--seconds", type=positive(float), help="begin no new work after so long")
    parser.add_argument("--evaluations", type=positive(), default=EVALUATIONS, help="programs scored at most, over all heads")
    parser.add_argument("--workers", type=positive(), help="local processes (default: one for each core)")
    parser.add_argument("--executor", metavar="URL", help="dask://HOST:PORT instead of local processes")
    parser.add_argument("--library-size", type=positive(), default=16, metavar="K", help="programs in the library (default: 16)")
    parser.add_argument("--max-tokens", type=positive(), default=96, help="texts are cut at so many tokens (default: 96)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda, for reading the model")
    parser.add_argument("--annotator", metavar="PIPELINE", help="a spaCy pipeline, by name or folder")


def main(args: Namespace) -> int:
    from harness.progress import board
    from harness.session import begin_run
    from search.campaign import Campaign, Plan
    from search.executors import cores, executor

    started = time.monotonic()
    path = Path(args.out or f"runs/{Path(args.target).name}")
    session = begin_run(args, path)
    folder, settings = session.folder, session.settings
    if folder.has("result.json"):
        output.note(f"{path}: this run is finished; its result follows")
        return _show(args, session, folder.read("result.json"))
    rows = tuple(layer * session.description["model"]["heads"] + head for layer, head in settings["heads"])
    plan = Plan(rows, settings["seed"], settings["evaluations"], library_size=settings["library_size"])
    prepared = time.monotonic() - started
    workers = args.workers or cores()
    with executor(args.executor, workers) as pool, board() as report:
        campaign = Campaign(folder, plan, pool, workers, report, args.seconds)
        complete = campaign.run({**session.names, "seed": settings["seed"]})
    phases = {"preparation": prepared, **campaign.spent}
    known = folder.read("timing.json")["phases"] if folder.has("timing.json") else {}  # of the parts before an interruption
    phases = {name: round(known.get(name, 0.0) + seconds, 2) for name, seconds in phases.items()}
    folder.write("timing.json", {"seconds": round(sum(phases.values()), 1), "phases": phases})
    if not complete:
        output.note(f"stopped early; go on with the same command and --out {path}")
    _show(args, session, folder.read("result.json" if complete else "partial.json"))
    output.note(f"see more with: headscript show {path}, headscript report {path}")
    return 0


def _show(args: Namespace, session: Session, outcome: dict[str, Any]) -> int:
    from harness.overview import run_table, with_time

    outcome = with_time(session, outcome)
    if args.json:
        output.document(outcome)
    else:
        print(run_table(outcome))
    return 0
