"""`headscript run [TARGET]`: search programs for the heads of a model."""

from __future__ import annotations

import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import output
from harness.cli import INTERRUPTED, at_least_zero, natural, positive
from harness.concepts import concepts_option
from harness.domains import split_options, text_options
from harness.errors import UsageError
from harness.heads import HELP as HEADS_HELP
from search.llm.options import add_options, llm_settings
from search.selection import MAX_RULES, PARSIMONY

if TYPE_CHECKING:
    from dsl.text import Text
    from harness.session import Session
    from search.campaign import Plan
    from search.folder import RunFolder
    from search.llm.proposer import LLMProposer
    from search.llm.start import Opened

PROPOSERS = ("library", "grammar", "llm")
TARGET_HELP = "demo (default), a Hugging Face id (ID:FILE.gguf for a GGUF file of it), a model folder, or a .gguf file"
TEXT_HELP = "demo, a .jsonl/.txt/.csv/.parquet file, a folder with train/validation/test files, or a datasets id"


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", default="demo", metavar="TARGET", help=TARGET_HELP)
    text_options(parser)
    split_options(parser)
    parser.add_argument("--heads", default="all", help=HEADS_HELP)
    parser.add_argument("--out", metavar="DIR", help="the run folder (default: runs/TARGET); an existing one is continued")
    parser.add_argument("--seed", type=natural, default=0, help="same seed, same result (default: 0)")
    parser.add_argument("--seconds", type=positive(float), help="begin no new work after so long")
    parser.add_argument(
        "--evaluations",
        type=positive(),
        help="programs to score, over all heads; a move under way is finished (default: 10,000 a head)",
    )
    parser.add_argument("--workers", type=positive(), help="units at work at once (default: one for each core)")
    parser.add_argument("--executor", type=_executor, metavar="URL", help="dask://HOST:PORT instead of local processes")
    parser.add_argument("--library-size", type=positive(), default=16, metavar="K", help="programs in the library (default: 16)")
    parser.add_argument(
        "--parsimony",
        type=at_least_zero,
        default=PARSIMONY,
        metavar="X",
        help=f"IoU that a token of a program must be worth to be shown (default: {PARSIMONY:g})",
    )
    parser.add_argument("--max-size", type=positive(), metavar="N", help="tokens of a program at most (default: no limit)")
    parser.add_argument("--max-rules", type=positive(), default=MAX_RULES, metavar="N", help="rules at most (default: %(default)s)")
    parser.add_argument("--max-set", type=positive(), metavar="N", help="strings in one listed set at most (default: no limit)")
    parser.add_argument("--max-tokens", type=positive(), default=96, help="texts are cut at so many tokens (default: 96)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda, for reading the model")
    concepts_option(parser, "the search may use them")
    parser.add_argument("--annotator", metavar="PIPELINE", help="a spaCy pipeline, by name or folder")
    parser.add_argument(
        "--proposers", type=_proposers, metavar="NAMES", help="who proposes: library, grammar, llm (default: all; llm needs --llm)"
    )
    add_options(parser)


def main(args: Namespace) -> int:
    from harness.lock import locked, refuse_held

    started = time.monotonic()
    path = Path(args.out or f"runs/{Path(args.target).name}")
    refuse_held(path)
    opened = _open_llm(args)
    proposers = args.proposers or (PROPOSERS if opened else PROPOSERS[:2])
    if ("llm" in proposers) != (opened is not None):
        raise UsageError("--proposers llm and --llm MODEL need each other")
    with locked(path):
        try:
            return _work(args, path, opened, proposers, started)
        except KeyboardInterrupt:
            output.note(f"interrupted; {kept(path)}")
            return INTERRUPTED


def _work(args: Namespace, path: Path, opened: Opened | None, proposers: tuple[str, ...], started: float) -> int:
    """The run, alone in its folder."""
    from harness.progress import board
    from harness.session import begin_run, outcome_of
    from search.campaign import Campaign
    from search.executors import cores, executor, slots
    from search.warm import ensure_compiled

    session = begin_run(args, path, _extra(opened, proposers))
    asks = opened is not None and not args.llm_dry_run and not session.folder.has("result.json")
    odd = session.odd_texts() if asks else ()
    session.release_model()  # the search has no use for it
    folder, settings = session.folder, session.settings
    if opened is not None and not args.llm_dry_run:
        _take_back(args, folder)
    if folder.has("result.json"):
        output.note(f"{path}: this run is finished; its result follows")
        outcome = outcome_of(session)
        _show(args, session, outcome)
        return _verdict(outcome)
    plan = plan_of(session)
    rows = plan.heads
    if args.llm_dry_run and opened is not None:
        return _dry_run(args, session, opened, rows)
    ensure_compiled(output.note)
    prepared = time.monotonic() - started
    with ExitStack() as stack:
        pool = stack.enter_context(executor(args.executor, args.workers or cores()))
        workers = args.workers or (slots(pool, cores()) if args.executor else cores())
        proposer = _proposer(session, opened, odd, stack) if opened else None
        report = stack.enter_context(board())
        campaign = Campaign(folder, plan, pool, workers, report, proposer, args.seconds)
        complete = campaign.run({**session.labels, "seed": settings["seed"]})
    phases = {"preparation": prepared, **campaign.spent}
    known = folder.read("timing.json")["phases"] if folder.has("timing.json") else {}  # of the parts before an interruption
    phases = {name: round(known.get(name, 0.0) + phases.get(name, 0.0), 2) for name in {**known, **phases}}
    folder.write("timing.json", {"seconds": round(sum(phases.values()), 1), "phases": phases})
    if not complete:
        output.note(f"{'interrupted' if campaign.interrupted else 'stopped early'}; {kept(path)}")
    outcome = folder.read("result.json" if complete else "partial.json")
    _show(args, session, outcome)
    output.note(f"see more with: headscript show {path}, headscript report {path}")
    return INTERRUPTED if campaign.interrupted else _verdict(outcome)


def plan_of(session: Session) -> Plan:
    """What the campaign of a run does."""
    from harness.session import PLANNED
    from search.campaign import Plan

    settings, per_layer = session.settings, session.description["model"]["heads"]
    rows = {(layer, head): layer * per_layer + head for layer, head in settings["heads"]}
    return Plan(
        tuple(rows.values()),
        **{name: settings[name] for name in PLANNED},
        proposers=tuple(settings["proposers"]),
        round=len(session.description.get("earlier", ())),
        focus=tuple(rows[layer, head] for layer, head in settings.get("focus") or ()),
    )


def kept(path: Path) -> str:
    """What a run that was cut short has, and how to go on with it."""
    units = len(list(path.glob("units/*/*.json")))
    what = f"{output.plural(units, 'unit')} of work {'is' if units == 1 else 'are'} kept in {path}" if units else "no work is lost"
    return f"{what}; go on with the same command and --out {path}"


def _show(args: Namespace, session: Session, outcome: dict[str, Any]) -> None:
    from harness.overview import run_table, with_time
    from search.llm.options import describe

    outcome = with_time(session, outcome)
    if args.json:
        output.document(outcome)
        return
    print(run_table(outcome, output.width()))
    if "llm" in outcome:
        print(*describe(outcome["llm"]), sep="\n")


def _verdict(outcome: dict[str, Any]) -> int:
    """1 where language models were asked in vain and the user did not allow it."""
    reason = outcome.get("llm", {}).get("verdict")
    if reason:
        output.note(reason)
    return 1 if reason else 0


def _proposers(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if unknown := [n for n in names if n not in PROPOSERS]:
        raise ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(PROPOSERS)}")
    return tuple(n for n in PROPOSERS if n in names)


def _executor(text: str) -> str:
    from search.executors import DASK

    if not text.startswith(DASK):
        raise ArgumentTypeError("expected dask://HOST:PORT")
    return text


def _open_llm(args: Namespace) -> Opened | None:
    """Names, keys and prices are checked before anything expensive."""
    from search.llm.start import open_llm

    try:
        settings = llm_settings(args)
        return None if settings is None else open_llm(settings, args.target, args.prompt, dry_run=args.llm_dry_run)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _extra(opened: Opened | None, proposers: tuple[str, ...]) -> dict[str, Any]:
    """Settings of the proposers, for the run folder."""
    from search.llm.settings import to_record

    extra: dict[str, Any] = {"proposers": list(proposers)}
    return {**extra, "llm": to_record(opened.settings)} if opened else extra


def _proposer(session: Session, opened: Opened, odd: tuple[Text, ...], stack: ExitStack) -> LLMProposer:
    """The proposer with a sandbox of its own, in which what is lifted is validated."""
    from functools import partial

    from sandbox import Sandbox
    from search.validate import lift_and_validate

    texts, causal = session.texts("fit"), session.description["model"]["causal"]
    jail = stack.enter_context(Sandbox())
    translate = partial(lift_and_validate, texts=texts, causal=causal, sandbox=jail, odd=odd, timed=False)
    proposer = opened.proposer(session.folder.path / "llm", translate, output.note)
    stack.callback(proposer.close)
    return proposer


def _take_back(args: Namespace, folder: RunFolder) -> None:
    """What language models are to be asked again: all with --llm-refresh, else what failed."""
    from search.rounds import forget_all, forget_failed

    if args.llm_refresh:
        forget_all(folder)
    elif failed := forget_failed(folder):
        output.note(f"{failed} call{'s' if failed > 1 else ''} to language models failed in this run; what failed is asked again")


def _dry_run(args: Namespace, session: Session, opened: Opened, rows: tuple[int, ...]) -> int:
    from dataclasses import asdict

    from search.consult import baselines, seated, task
    from search.llm.start import dry_run
    from search.validate import LiftRecord

    simple = baselines(session.folder, rows)
    tasks = [task(session.folder, row, 0, simple[row], {}) for row in rows]
    if opened.settings.rounds:  # no tool is used: nothing is translated
        idle, tables = LiftRecord("refused", reason="nobody is asked"), dict[str, Any]()
        tasks = [
            seated(session.folder, row, t, simple[row], {}, lambda _: idle, {}, tables) for row, t in zip(rows, tasks, strict=True)
        ]
    found = dry_run(opened, tasks)
    if args.json:
        output.document(asdict(found))
    else:
        print(found.text())
    return 0
