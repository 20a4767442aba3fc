"""`headscript replace RUN --fraction F`: a share of the heads runs on programs, and what the model loses by it."""

from __future__ import annotations

import hashlib
import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import output
from harness.cli import positive
from harness.commands._replace_page import page
from harness.commands.run import TARGET_HELP, TEXT_HELP
from harness.domains import column_option
from harness.errors import UsageError, UserError

if TYPE_CHECKING:
    from dsl.text import Text
    from harness.annotate import Annotator
    from harness.measure import Sample
    from harness.patterns import PatternSource
    from harness.replace import Head
    from harness.session import Session
    from harness.targets import Target
    from harness.tasks import Choices, Question
    from search.folder import RunFolder

MOST_TEXTS = 500  # of --text
MASKED = {"select": 100, "test": 400}  # passes of a masked model over each sample: one token is hidden in each
DEMO_TASK = "demo-stories"
DEMO_QUESTIONS = Path(__file__).parents[1] / "demo" / "stories.jsonl"
WHOLE = 10**6  # tokens: more than a question has
PREPARED = 64  # batches of texts whose features are kept between programs


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--fraction", type=_share, default=0.25, metavar="F", help="share of the run's heads (default: 0.25)")
    parser.add_argument("--text", metavar="T", help=f"texts to report on: {TEXT_HELP} (default: the run's own test texts)")
    column_option(parser)
    parser.add_argument("--library", action="store_true", help="each head with its program of the shared library")
    parser.add_argument(
        "--order",
        choices=("cost", "iou", "random"),
        default="cost",
        help="which heads go first: those that cost least on the select texts (default), with the highest IoU there, or any",
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        default=[],
        metavar="NAME|FILE",
        help=f"multiple-choice questions: {DEMO_TASK}, a .jsonl file, hellaswag, piqa, sciq, arc_easy, social_iqa, copa",
    )
    parser.add_argument("--questions", type=positive(), default=500, metavar="N", help="of each task the first N (default: 500)")
    parser.add_argument(
        "--max-tokens", type=positive(), metavar="N", help="--text and --tasks are cut at so many tokens (default: the run's)"
    )
    parser.add_argument("--target", metavar="TARGET", help=f"where the run's model lies now: {TARGET_HELP}")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--seed", type=int, default=0, help="of intervals, masked tokens and --order random (default: 0)")


def main(args: Namespace) -> int:
    from harness.session import open_run

    if args.max_tokens and not (args.text or args.tasks):
        raise UsageError("--max-tokens goes with --text or --tasks; the run's own texts stay as the run cut them")
    questions = load_tasks(args.tasks, args.questions)  # what cannot be read is refused before the model is loaded
    session = open_run(args.run, args.device)
    try:
        result = measured(args, session, questions)
    except KeyboardInterrupt:
        output.note("what was measured is kept; the same command goes on from here")
        raise
    if not args.text and not args.library and args.order == "cost":
        session.folder.write("replace.json", result)  # what the report shows
    if args.json:
        output.document(result)
    else:
        print(page(result))
    return 0


def measured(args: Namespace, session: Session, questions: Mapping[str, Sequence[Question]]) -> dict[str, Any]:
    """The command's document. UserError or UsageError, one line, for what cannot be used."""
    from harness.annotate import load_annotator
    from harness.curve import Measurements, baselines, replacement
    from harness.measure import make_sample, masker, readout_of
    from harness.session import outcome_of

    outcome = outcome_of(session)
    target = own_target(session, args.target, args.device)
    readout = readout_of(target.model, target.tokenizer, target.causal)
    name = session.names["annotator"]
    annotator = load_annotator(name) if name and (args.text or questions or readout == "masked") else None
    if annotator and annotator.version != session.settings["annotator"]:
        output.note(f"annotated by {annotator.version}, the run's texts by {session.settings['annotator']}")
    hide = masker(target.tokenizer, target.embed, annotator) if readout == "masked" else None
    max_tokens = args.max_tokens or session.settings["max_tokens"]
    batch_size = 16 if target.padding else 1
    tasks = _choices(questions, target, annotator, max_tokens, readout, hide, batch_size)

    def sample(split: str, texts: Sequence[Text]) -> Sample:
        return make_sample(texts, readout, hide, max(1, min(16, MASKED[split] // len(texts))), args.seed, batch_size)

    test, notes = _other_texts(args.text, args.column, target, max_tokens, annotator) if args.text else (session.texts("test"), [])
    records = {(r["layer"], r["head"]): r for r in outcome["heads"]}
    with _bar() as progress:
        result = replacement(
            Measurements(target.model, Kept(session.folder, _key(session, outcome, args.library)), progress),
            sample("select", session.texts("select")),
            sample("test", test),
            program_sources(session, args.library),
            args.fraction,
            args.order,
            iou={head: r["library_iou" if args.library else "iou"]["select"] for head, r in records.items()},
            baseline=baselines(target.model, session.texts("fit"), records, batch_size),
            tasks=tasks,
            seed=args.seed,
        )
    names = {"target": session.names["target"], "text": args.text or session.names["text"]}
    programs = {"programs": "library" if args.library else "per head", "seed": args.seed}
    return {**names, **programs, **result, "notes": [*result["notes"], *notes]}


def program_sources(session: Session, library: bool = False) -> dict[Head, PatternSource]:
    """The programs of a finished run as pattern sources: of every head its own, or with `library` the shared one it was given.

    Heads with the same program and the same attention window get the same source. UserError: the run has not finished.
    """
    from dsl import Batch, evaluate, parse
    from harness.session import outcome_of

    causal, windows = session.description["model"]["causal"], session.description["model"]["windows"]

    @lru_cache(PREPARED)
    def prepared(texts: tuple[Text, ...], window: int | None) -> Batch:
        return Batch(texts, causal, window)

    @cache
    def source(program: str, window: int | None) -> PatternSource:
        parsed = parse(program)

        def patterns(texts: Sequence[Text]) -> Any:
            batch = prepared(tuple(texts), window)
            try:
                return evaluate(parsed, batch)
            finally:  # features are dear and small; the values of expressions are cheap and large
                batch.forget()

        return patterns

    return {head: source(program, windows[head[0]]) for head, program in _programs(outcome_of(session), library).items()}


def own_target(session: Session, spec: str | None = None, device: str = "cpu") -> Target:
    """The run's model, from `spec` or from where the run had it. UserError: another model, or another vocabulary."""
    from harness.session import check_same
    from harness.targets import load_target

    target = load_target(spec or session.names["target"], device)
    for text in session.texts("test"):
        for token, number in zip(text.tokens, text.ids, strict=True):
            here = target.tokenizer.convert_ids_to_tokens(number) if number < len(target.tokenizer) else None
            if here != token:
                found = "missing" if here is None else repr(here)
                raise UserError(
                    f"{session.folder.path}: the vocabulary of {target.name} is not the run's (token {number} is {token!r} in the "
                    f"run, {found} here); give the run's own model with --target"
                )
    check_same(target, session)
    session.loaded = target
    return target


def load_tasks(specs: Sequence[str], most: int) -> dict[str, list[Question]]:
    """The first `most` questions of each task, by a name that no other has. UserError: what is wrong, with the line."""
    from harness.tasks import load_questions

    tasks = {}
    for spec in specs:
        path = Path(spec)
        name = path.stem if path.suffix == ".jsonl" else spec
        tasks[spec if name in tasks else name] = load_questions(str(DEMO_QUESTIONS) if spec == DEMO_TASK else spec, most)
    return tasks


class Kept(UserDict[str, Any]):
    """Measurements by name, each in a file of its own as soon as it is set, so that an interrupted command loses at most one."""

    def __init__(self, folder: RunFolder, key: str) -> None:
        """Those that `folder` has under `key`."""
        super().__init__()
        self.folder, self.key = folder, key
        for path in sorted((folder.path / "replace" / key).glob("*.json")):
            entry = folder.read(f"replace/{key}/{path.name}")
            self.data[entry["name"]] = entry["sums"]

    def __setitem__(self, name: str, sums: Any) -> None:
        self.folder.write(f"replace/{self.key}/{_digest(name)}.json", {"name": name, "sums": sums})
        super().__setitem__(name, sums)


def _key(session: Session, outcome: Mapping[str, Any], library: bool) -> str:
    """Names what measurements depend on beside the texts: model, programs, what the mean attention is taken from, device."""
    from importlib.metadata import version

    fit = session.settings["text"], session.settings["max_tokens"], session.settings["seed"], session.settings["annotator"]
    programs = sorted(_programs(outcome, library).items())
    return _digest([version("headscript"), session.settings["target"], session.device, fit, programs])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _programs(outcome: Mapping[str, Any], library: bool) -> dict[Head, str]:
    shared = {p["id"]: p["program"] for p in outcome["library"]}
    return {(r["layer"], r["head"]): shared[r["library_program"]] if library else r["program"] for r in outcome["heads"]}


def _other_texts(
    spec: str, column: str, target: Target, max_tokens: int, annotator: Annotator | None
) -> tuple[tuple[Text, ...], list[str]]:
    """The texts of --text as the model reads them, and notes of what was cut or left out, which are said at once."""
    from harness.targets import prepare
    from harness.texts import load_all

    raw = load_all(spec, MOST_TEXTS + 1, column)
    texts, notes = prepare(target, raw[:MOST_TEXTS], max_tokens, annotator)
    if len(raw) > MOST_TEXTS:
        notes.append(f"the first {MOST_TEXTS} texts of {spec} are used")
    for line in notes:
        output.note(line)
    return texts, notes


def _choices(
    questions: Mapping[str, Sequence[Question]],
    target: Target,
    annotator: Annotator | None,
    max_tokens: int,
    readout: Any,
    hide: Any,
    batch_size: int,
) -> dict[str, Choices]:
    from dataclasses import replace

    from harness.annotate import annotate
    from harness.tasks import make_choices
    from harness.tokens import view

    def whole(string: str) -> Text:
        text = view(target.tokenizer, string, WHOLE)
        if annotator is not None:
            (text,) = annotate([text], annotator)
        return replace(text, embeddings=target.embed(text.ids))

    tasks = {}
    for name, asked in questions.items():
        try:
            limit = min(max_tokens, target.context or max_tokens)
            tasks[name] = make_choices(asked, whole, limit, readout, hide, batch_size)
        except UserError as error:
            raise UserError(f"task {name}: {error}") from None
        for line in tasks[name].notes:
            output.note(f"task {name}: {line}")
    return tasks


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value <= 1:
        raise ArgumentTypeError(f"{text}: give a share of the heads from 0 to 1")
    return value


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar that begins with the first measurement, which tells how many there are."""
    with ExitStack() as stack:
        updates: list[Any] = []

        def report(what: str, done: int, total: int) -> None:
            if not updates:
                updates.append(stack.enter_context(output.progress("replacing heads", total)))
            updates[0](done)

        yield report
