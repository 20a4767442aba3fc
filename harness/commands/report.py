"""`headscript report RUN`: one self-contained HTML page, and figures for papers."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from harness import output
from harness.cli import positive


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--out", metavar="FILE", help="the page (default: RUN/report.html)")
    parser.add_argument(
        "--texts", type=positive(), metavar="N", help="texts shown with their matrices (default: as many as keep it small, up to 4)"
    )
    parser.add_argument("--full", action="store_true", help="the largest program of each head instead of the one worth its size")
    parser.add_argument("--figures", metavar="DIR", help="also write the maps, the curves and the best heads as SVG files")


def main(args: Namespace) -> int:
    from harness.overview import with_time
    from harness.report import write_report
    from harness.report.figures import write_figures
    from harness.session import open_run, outcome_of

    session = open_run(args.run)
    outcome = with_time(session, outcome_of(session, args.full))
    path = Path(args.out) if args.out else session.folder.path / "report.html"
    size = write_report(session, outcome, path, args.texts)
    figures = write_figures(session, outcome, Path(args.figures)) if args.figures else []
    if args.json:
        output.document({"report": str(path), "bytes": size, "figures": [str(f) for f in figures]})
    else:
        print(f"{path}  ({size / 1e6:.1f} MB)")
        for figure in figures:
            print(figure)
    return 0
