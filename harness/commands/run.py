"""`headscript run [TARGET]`: search programs for the heads of a model."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from harness import output
from harness.cli import positive

TARGET_HELP = "demo (default), a Hugging Face id, or a model folder"
TEXT_HELP = "demo (default), a .jsonl/.txt/.csv/.parquet file, a folder with train/validation/test files, or a datasets id"


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", default="demo", metavar="TARGET", help=TARGET_HELP)
    parser.add_argument("--text", default="demo", metavar="T", help=TEXT_HELP)
    parser.add_argument("--heads", default="all", help="all (default), L2, L2H3, or several with commas")
    parser.add_argument("--out", metavar="DIR", help="the run folder (default: runs/TARGET); an existing one is continued")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same result (default: 0)")
    parser.add_argument("--seconds", type=positive(float), help="begin no new work after so long")
    parser.add_argument("--evaluations", type=positive(), help="programs scored at most, over all heads")
    parser.add_argument("--workers", type=positive(), help="local processes (default: one for each core)")
    parser.add_argument("--executor", metavar="URL", help="dask://HOST:PORT instead of local processes")
    parser.add_argument("--library-size", type=positive(), default=16, metavar="K", help="programs in the library (default: 16)")
    parser.add_argument("--max-tokens", type=positive(), default=96, help="texts are cut at so many tokens (default: 96)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda, for reading the model")
    parser.add_argument("--annotator", metavar="PIPELINE", help="a spaCy pipeline, by name or folder")


def main(args: Namespace) -> int:
    from harness.session import prepare_run
    from harness.summary import run_table

    started = time.monotonic()
    folder = Path(args.out or f"runs/{Path(args.target).name}")
    session = prepare_run(args, folder)
    outcome = session.search(args)
    outcome["seconds"] = round(time.monotonic() - started, 1)
    if args.json:
        output.document(outcome)
    else:
        print(run_table(outcome))
        output.note(f"run folder: {folder}; see it with: headscript show {folder}, headscript report {folder}")
    return 0
