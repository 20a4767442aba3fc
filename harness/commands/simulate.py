"""`headscript simulate RUN --llm MODEL`: what a reader of the explanations knows about the heads."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from harness import output
from harness.cli import positive
from harness.errors import UsageError, UserError
from harness.heads import HELP as HEADS_HELP
from search.llm.options import add_options, llm_settings

if TYPE_CHECKING:
    from harness.session import Session
    from search.llm.simulate import Question


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--heads", default="all", help=HEADS_HELP)
    parser.add_argument("--texts", type=positive(), default=4, metavar="N", help="held-out texts for each head (default: 4)")
    parser.add_argument("--queries", type=positive(), default=8, metavar="N", help="queries asked about in each text (default: 8)")
    add_options(parser, proposals=False)


def main(args: Namespace) -> int:
    import time

    from harness.session import open_run, outcome_of
    from search.llm.ask import Asker, Draft
    from search.llm.backend import Answer
    from search.llm.budget import Ledger
    from search.llm.simulate import iou as overlap
    from search.llm.simulate import predicted
    from search.llm.start import open_llm
    from search.llm.store import AnswerStore

    try:
        settings = llm_settings(args)
        if settings is None:
            raise UsageError("simulate needs --llm MODEL")
        opened = open_llm(settings, args.run)
    except ValueError as error:
        raise UsageError(str(error)) from None
    session = open_run(args.run)
    asked = questions(session, outcome_of(session), args.heads, args.texts, args.queries)
    store = AnswerStore(session.folder.path / "simulate")
    if args.llm_refresh:
        for path in store.folder.glob("*.json"):
            path.unlink()
    ledger = Ledger(opened.settings, opened.prices)
    asker = Asker(opened.settings, opened.backend, store, ledger, time.sleep, output.note)
    causal = session.description["model"]["causal"]
    drafts = [Draft(q.messages, q.place, 0, "simulate") for q in asked]
    scores: dict[str, dict[str, list[tuple[float, float]]]] = {}
    store.put_settings({"models": [m.name for m in opened.settings.models]})
    for q, outcome in zip(asked, asker.ask(drafts), strict=True):
        if isinstance(outcome.result, Answer):
            rows = predicted(outcome.result.text, q.queries, q.head.shape[1], causal)
            pair = overlap(q.head, rows), overlap(q.head, q.program)
            scores.setdefault(q.arm, {}).setdefault(q.name, []).append(pair)
    if not scores:
        raise UserError("no answer of a language model was usable")
    found = summary(scores, ledger.total.record(), len(asked))
    session.folder.write("simulate.json", found)
    if args.json:
        output.document(found)
    else:
        print(described(found))
    return 0


def questions(session: Session, outcome: dict[str, Any], wanted: str, texts: int, queries: int) -> list[Question]:
    """All arms for all heads and texts: texts of `test`, as many of each domain, the same for all heads."""
    from dsl import Batch, english, evaluate, parse
    from harness.heads import parse_heads
    from harness.report.matrices import shared_window
    from search import workspace
    from search.llm.simulate import ARMS, Question, chosen_queries, question

    model = session.description["model"]
    heads = set(parse_heads(wanted, model["layers"], model["heads"], session.folder.path))
    records = [r for r in outcome["heads"] if (r["layer"], r["head"]) in heads]
    if not records:
        raise UsageError("none of these heads is in the run")
    session.store("test")
    problem = workspace.sample(str(session.folder.path), "test", texts)
    batch = Batch(problem.texts_given, model["causal"], shared_window(model))
    found = []
    for r in records:
        program = parse(r["program"])
        patterns = evaluate(program, batch)
        told = {
            "headline": r.get("headline") or r["kind"],
            "english": "\n".join(f"{i}. {s}" for i, s in enumerate(english(program), 1)),
            "program": r["program"].strip(),
            "none": "",
        }
        matrices = problem.matrices(r["layer"] * model["heads"] + r["head"])
        for t, text in enumerate(problem.texts_given):
            chosen = chosen_queries(len(text), queries)
            if not chosen:
                continue
            rows = matrices[t][chosen], patterns[t][chosen, : len(text)]
            for arm in ARMS:
                messages = question(arm, told[arm], text, model["causal"], chosen)
                name, place = f"L{r['layer']}H{r['head']}", (r["layer"], r["head"])
                found.append(Question(name, place, arm, t, tuple(chosen), messages, *rows))
    return found


def summary(scores: dict[str, dict[str, list[tuple[float, float]]]], spent: dict[str, Any], asked: int) -> dict[str, Any]:
    """Means over heads, with intervals over heads. Each arm stands beside the programs' own IoU on the same queries."""
    from search.llm.simulate import ARMS, interval

    arms = {}
    for arm in (a for a in ARMS if a in scores):
        told = [sum(s for s, _ in pairs) / len(pairs) for pairs in scores[arm].values()]
        own = [sum(p for _, p in pairs) / len(pairs) for pairs in scores[arm].values()]
        arms[arm] = {
            "iou": round(sum(told) / len(told), 6),
            "interval": [round(v, 6) for v in interval(told)],
            "programs": round(sum(own) / len(own), 6),
            "heads": {name: round(v, 6) for name, v in zip(scores[arm], told, strict=True)},
            "answers": sum(map(len, scores[arm].values())),
        }
    return {"arms": arms, "asked": asked, **spent}


def described(found: dict[str, Any]) -> str:
    rows = []
    for arm, a in found["arms"].items():
        low, high = a["interval"]
        rows.append((arm, f"{a['iou']:.3f}", f"{low:.3f} to {high:.3f}", f"{a['programs']:.3f}", a["answers"]))
    shown = output.table(rows, ("told", "IoU", "95% interval", "programs", "answers"), (False, True, True, True, True))
    return f"{shown}\n\n{output.plural(found['calls'], 'call')}, {found['tokens']:,} tokens; {found['asked']:,} questions"
