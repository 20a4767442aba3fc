"""`headscript show RUN [L2H3]`: the library of a run, or one head."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from harness import output


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("head", nargs="?", metavar="L2H3", help="one head in detail")
    parser.add_argument("--llm", action="store_true", help="what language models wrote, and what became of it")
    parser.add_argument("--concepts", action="store_true", help="the concepts that the programs use: what each says and brings")
    parser.add_argument("--full", action="store_true", help="the largest program of each head instead of the one worth its size")
    parser.add_argument("--python", action="store_true", help="the program as a Python function")


def main(args: Namespace) -> int:
    from harness.overview import head_page, run_table, with_time
    from harness.session import open_run, outcome_of

    session = open_run(args.run)
    if args.llm:  # also of a run that is not finished: its models may be the reason
        from harness import llm_page

        known = {"heads": [{"layer": layer, "head": head} for layer, head in session.settings["heads"]]}
        record = find_head(known, args.head) if args.head else None
        name: str | None = None if record is None else f"L{record['layer']}H{record['head']}"
        if args.json:
            output.document([dict(zip(llm_page.HEADER, row, strict=True)) for row in llm_page.rows(session.folder, name)])
        else:
            print(llm_page.page(session.folder, name))
        return 0
    outcome = with_time(session, outcome_of(session, args.full))
    if args.concepts:
        from harness.glossary import page

        if args.json:
            output.document(outcome.get("concepts", []))
        else:
            print(page(outcome.get("concepts", [])))
        return 0
    if args.head is None:
        if args.json:
            output.document(outcome)
        else:
            print(run_table(outcome, output.width()))
        return 0
    record = find_head(outcome, args.head)
    if args.json:
        output.document(record)
    elif args.python:
        from dsl import parse, to_python

        print(to_python(parse(record["program"])))
    else:
        print(head_page(session, outcome, record))
    return 0


def find_head(outcome: dict, name: str) -> dict:
    """The record of a head such as L2H3. Raises UsageError where the run has no such head."""
    from harness.errors import UsageError

    for record in outcome["heads"]:
        if f"L{record['layer']}H{record['head']}" == name.strip().upper():
            return record
    known = [f"L{r['layer']}H{r['head']}" for r in outcome["heads"]]
    raise UsageError(f"no head {name} in this run; it has {known[0]} to {known[-1]}")
