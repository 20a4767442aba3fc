"""`headscript merge RUN… --out DIR`: join runs of parts of a model (one job per layer, say) into one run with one library."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from harness import output
from harness.cli import positive
from harness.errors import UserError
from search.finish import PHASES
from search.folder import SPLITS, RunFolder, difference


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders of the same model and texts")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder of the joined run")
    parser.add_argument("--library-size", type=positive(), metavar="K", help="programs in the library (default: that of the runs)")
    parser.add_argument("--workers", type=positive(), help="local processes (default: one for each core)")


def main(args: Namespace) -> int:
    from harness.overview import run_table
    from harness.session import PLANNED, Session, check_writable, open_run, outcome_of
    from search.campaign import Plan
    from search.executors import cores, executor
    from search.finish import outcome

    check_writable(Path(args.out))
    sessions = [open_run(path) for path in args.runs]
    for session in sessions:
        outcome_of(session)  # refuses a run that has not finished
    description = joined([s.description for s in sessions], args.runs, args.library_size)
    folder = RunFolder(Path(args.out))
    folder.start(description)
    for split in SPLITS:
        folder.write_texts(split, sessions[0].texts(split))
    for session in sessions:
        copy_units(session.folder, folder)
    whole = Session(folder, description=description, loaded=None)
    for split in SPLITS:
        whole.store(split)
    settings = description["settings"]
    heads = tuple(h * description["model"]["heads"] + i for h, i in settings["heads"])
    plan = Plan(heads, **{name: settings[name] for name in PLANNED})
    with executor(None, args.workers or cores()) as pool:
        result = {**whole.labels, "seed": settings["seed"], **outcome(folder, plan, pool)}
    folder.write("result.json", result)
    if args.json:
        output.document(result)
    else:
        print(run_table(result, output.width()))
    return 0


def joined(descriptions: list[dict[str, Any]], names: list[str], library_size: int | None) -> dict[str, Any]:
    """The description of the joined run. Raises UserError where two runs differ in more than their heads."""
    first = descriptions[0]
    heads: list[list[int]] = []
    for description, name in zip(descriptions, names, strict=True):
        apart = {"heads": None, "library_size": None}
        if changed := difference({**first["settings"], **apart}, {**description["settings"], **apart}):
            raise UserError(f"{name}: does not belong to {names[0]} ({changed})")
        if both := [h for h in description["settings"]["heads"] if h in heads]:
            raise UserError(f"{name}: head L{both[0][0]}H{both[0][1]} is in an earlier run too")
        heads += description["settings"]["heads"]
    size = library_size or first["settings"]["library_size"]
    return {**first, "format": first["format"], "settings": {**first["settings"], "heads": sorted(heads), "library_size": size}}


def copy_units(source: RunFolder, folder: RunFolder) -> None:
    """Takes over the results of all units, those of earlier rounds too; a number that is taken becomes the next free one."""
    for phase in PHASES:
        for name in source.units(phase):
            there = folder.path / "units" / phase
            number = Path(name).stem
            if (there / f"{number}.json").exists():
                number = str(1 + max(int(p.stem) for p in there.glob("*.json")))
            folder.write(f"units/{phase}/{number}.json", source.read(name))
