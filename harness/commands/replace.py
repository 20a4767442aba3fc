"""`headscript replace RUN --fraction F`: a share of the heads runs on programs, and what the model loses by it."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from harness import output
from harness.cli import positive
from harness.commands._replace_page import page
from harness.commands._replace_programs import chosen_by_effect, digest, run_programs, second_round, sources_of
from harness.commands._replace_tasks import DEMO_TASK, load_tasks, prepared_tasks
from harness.commands.run import TARGET_HELP
from harness.domains import text_options
from harness.errors import UsageError, UserError

if TYPE_CHECKING:
    from dsl.text import Text
    from harness.annotate import Annotator
    from harness.measure import Sample
    from harness.patterns import PatternSource
    from harness.replace import Head
    from harness.session import Session
    from harness.targets import Target
    from harness.tasks import Question
    from search.domains import Domains
    from search.folder import RunFolder

MOST_TEXTS = 500  # of --text
MASKED = {"fit": 400, "select": 100, "test": 400}  # passes of a masked model over each sample: one token is hidden in each


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument(
        "--fraction",
        type=_shares,
        default=(0.25,),
        metavar="F[,F…]",
        help="share of the heads (default: 0.25); of several the first is reported on, and the curve has just these",
    )
    parser.add_argument("--heads", default="all", help="which may be replaced: all of the run (default), L2, L2H3, or several")
    text_options(parser, "the run's own test texts")
    parser.add_argument("--full", action="store_true", help="each head with its largest program instead of the one worth its size")
    parser.add_argument("--library", action="store_true", help="each head with its program of the shared library")
    parser.add_argument(
        "--order",
        choices=("effect", "iou", "random", "cost", "layer"),
        default="effect",
        help="which heads go first: those of the least effect on the model's output, estimated on the select texts (default), of "
        "the highest IoU there, any, those that cost least there, measured (three passes a head), or the first layers",
    )
    parser.add_argument(
        "--objective",
        choices=("iou", "effect"),
        default="iou",
        help="what programs are chosen by: as the run has them (default), or, of a head's front and the library, that of the least "
        "effect on the output, constants fitted for it on the fit texts",
    )
    parser.add_argument(
        "--refit",
        type=positive(),
        metavar="PASSES",
        help="a second round at each --fraction: all constants fitted in the model with the others in place, on the fit texts",
    )
    parser.add_argument(
        "--losses",
        action="store_true",
        help="also the heads whose programs cost most, the rows and tokens where that arises, and the values of the keys concerned",
    )
    parser.add_argument(
        "--controls",
        nargs="?",
        type=positive(),
        const=3,
        metavar="DRAWS",
        help="the same programs in the wrong heads' places, beside them: each control drawn so often (default: 3)",
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
        "--max-tokens",
        type=positive(),
        metavar="N",
        help="--text is cut at so many tokens (default: the run's), --tasks too (default: the model's context)",
    )
    parser.add_argument("--target", metavar="TARGET", help=f"where the run's model lies now: {TARGET_HELP}")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--seed", type=int, default=0, help="of intervals, masked tokens and --order random (default: 0)")


def main(args: Namespace) -> int:
    from harness.session import open_run

    if args.full and args.library:
        raise UsageError("--full and --library exclude each other: the library has one program for several heads")
    if args.objective == "effect" and (args.full or args.library):
        raise UsageError(
            "--objective effect chooses among each head's programs and the library; give it without --full or --library"
        )
    if args.max_tokens and not (args.text or args.tasks):
        raise UsageError("--max-tokens goes with --text or --tasks; the run's own texts stay as the run cut them")
    questions = load_tasks(args.tasks, args.questions)  # what cannot be read is refused before the model is loaded
    session = open_run(args.run, args.device)
    try:
        result = measured(args, session, questions)
    except KeyboardInterrupt:
        output.note("what was measured is kept; the same command goes on from here")
        raise
    own = not (args.text or args.library or args.full) and args.objective == "iou"
    if own and args.order == "effect" and args.heads == "all":
        session.folder.write("replace.json", result)  # what the report shows
    if args.json:
        output.document(result)
    else:
        print(page(result))
    return 0


def measured(args: Namespace, session: Session, questions: Mapping[str, Sequence[Question]]) -> dict[str, Any]:
    """The command's document. UserError or UsageError, one line, for what cannot be used."""
    from harness.annotate import load_annotator
    from harness.controls import CONTROLS, controls
    from harness.curve import Measurements, baselines, label, replacement
    from harness.heads import parse_heads
    from harness.losses import losses
    from harness.measure import make_sample, masker, readout_of
    from harness.ngram import Trigram
    from harness.session import outcome_of
    from search.domains import Domains

    outcome = outcome_of(session, args.full)
    target = own_target(session, args.target, args.device)
    readout = readout_of(target.model, target.tokenizer, target.causal)
    name = session.names["annotator"]
    annotator = load_annotator(name) if name and (args.text or questions or readout == "masked") else None
    if annotator and annotator.version != session.settings["annotator"]:
        output.note(f"annotated by {annotator.version}, the run's texts by {session.settings['annotator']}")
    hide = masker(target.tokenizer, target.embed, annotator) if readout == "masked" else None
    batch_size = 8 if target.padding else 1
    tasks = prepared_tasks(questions, target, annotator, args.max_tokens, readout, hide, batch_size)

    def sample(split: str, texts: Sequence[Text], domains: Domains) -> Sample:
        masked = max(1, min(16, MASKED[split] // len(texts)))
        return make_sample(texts, readout, hide, masked, args.seed, batch_size, domains)

    def kept(split: str) -> tuple[tuple[Text, ...], Domains]:
        return session.texts(split), Domains(session.folder.domains(split), session.folder.held_out)

    max_tokens = args.max_tokens or session.settings["max_tokens"]
    test, domains, notes = _other_texts(args, target, max_tokens, annotator) if args.text else (*kept("test"), [])
    wanted = set(parse_heads(args.heads, target.layers, target.heads))
    records = {head: r for r in outcome["heads"] if (head := (r["layer"], r["head"])) in wanted}
    if not records:
        raise UsageError(f"--heads {args.heads}: the run has none of them")
    fit = sample("fit", *kept("fit"))
    select = sample("select", *kept("select"))
    texts = {h: p for h, p in run_programs(outcome, args.library).items() if h in records}
    effects = None
    if args.objective == "effect":
        effects = chosen_by_effect(session, outcome, sorted(records), fit, select, args.seed)
        texts = {head: effects["programs"][label(head)] for head in texts}
    programs, library = sources_of(session, texts), program_sources(session, library=True)
    categories = {head: r["kind"] for head, r in records.items()}
    draws = [controls(programs, categories, library, args.seed + draw) for draw in range(args.controls or 0)]
    with _bar() as progress:
        result = replacement(
            Measurements(target.model, Kept(session.folder, _key(session, texts)), progress),
            select,
            sample("test", test, domains),
            programs,
            args.fraction,
            args.order,
            iou={head: r["library_iou" if args.library else "iou"]["select"] for head, r in records.items()},
            baseline=baselines(session.store("fit"), records),
            control={name: [drawn[name] for drawn in draws] for name in (CONTROLS if draws else ())},
            tasks=tasks,
            reader=Trigram(text.ids for text in session.texts("fit")),
            second=second_round(session, texts, fit, select, args.refit, args.seed) if args.refit else None,
            seed=args.seed,
        )
    if args.losses:
        with output.progress("where it arises", 100) as update:
            result["losses"] = losses(target.model, select, programs, progress=lambda done, total: update(100 * done // total))
    names = {"target": session.names["target"], "text": ", ".join(args.text) if args.text else session.names["text"]}
    which = "library" if args.library else "largest of each head" if args.full else "by effect" if effects else "per head"
    return {**names, "programs": which, "seed": args.seed, **result, "objective": effects, "notes": [*result["notes"], *notes]}


def program_sources(session: Session, library: bool = False, full: bool = False) -> dict[Head, PatternSource]:
    """The programs of a finished run as pattern sources: of every head its own (with `full` its largest), or with `library` the
    shared one it was given. UserError: the run has not finished."""
    from harness.session import outcome_of

    return sources_of(session, run_programs(outcome_of(session, full), library))


def own_target(session: Session, spec: str | None = None, device: str = "cpu") -> Target:
    """The run's model, from `spec` or from where the run had it. UserError: another model, or another vocabulary."""
    from harness.session import check_same
    from harness.targets import load_target

    target = load_target(spec or session.names["target"], device)
    for text in session.texts("test"):
        for piece, number in zip(text.pieces, text.ids, strict=True):
            here = target.tokenizer.convert_ids_to_tokens(number) if number < len(target.tokenizer) else None
            if here != piece:
                found = "missing" if here is None else repr(here)
                raise UserError(
                    f"{session.folder.path}: the vocabulary of {target.name} is not the run's (token {number} is {piece!r} in the "
                    f"run, {found} here); give the run's own model with --target"
                )
    check_same(target, session)
    session.loaded = target
    return target


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
        self.folder.write(f"replace/{self.key}/{digest(name)}.json", {"name": name, "sums": sums})
        super().__setitem__(name, sums)


def _key(session: Session, programs: Mapping[Head, str]) -> str:
    """Names what measurements depend on beside the texts: model, programs, what the mean attention is taken from, device."""
    from importlib.metadata import version

    fit = session.settings["text"], session.settings["max_tokens"], session.settings["seed"], session.settings["annotator"]
    return digest([version("headscript"), session.settings["target"], session.device, fit, sorted(programs.items())])


def _other_texts(
    args: Namespace, target: Target, max_tokens: int, annotator: Annotator | None
) -> tuple[tuple[Text, ...], Domains, list[str]]:
    """The texts of --text as the model reads them, their domains, and notes of what was cut or left out, which are said at once."""
    from harness.domains import load_test, sources
    from harness.targets import prepare_domains
    from search.domains import Domains

    raw, named, cut = load_test(sources(args.text, args.column, target.name), MOST_TEXTS)
    texts, domains, notes = prepare_domains(target, raw, named, max_tokens, annotator)
    for line in (notes := [*cut, *notes]):
        output.note(line)
    return texts, Domains(domains), notes


def _shares(text: str) -> tuple[float, ...]:
    return tuple(dict.fromkeys(map(_share, text.split(","))))


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
