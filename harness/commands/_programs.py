"""What `lift` and `sandbox` share: options, and the texts that programs are run on."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from harness import output
from harness.commands.check import read
from harness.commands.run import TARGET_HELP, TEXT_HELP
from harness.domains import column_option
from harness.errors import UserError

if TYPE_CHECKING:
    from dsl.text import Text
    from harness.annotate import Annotator
    from harness.targets import Target

Source = tuple[str, str | None, str]  # name, content, and the reason why there is none

POOL = 40  # texts to choose from, so that validation finds short, long and repetitive ones


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a Python file; its last function of two parameters is the program"
    )
    parser.add_argument("--target", default="demo", metavar="T", help=f"whose tokens the programs see: {TARGET_HELP}")
    parser.add_argument("--text", default="demo", metavar="T", help=f"{TEXT_HELP} (default: demo)")
    column_option(parser)
    parser.add_argument("--annotator", metavar="PIPELINE", help="a spaCy pipeline, by name or folder")
    parser.add_argument("--max-tokens", type=int, default=96, help="texts are cut at so many tokens (default: 96)")


def sources(args: Namespace) -> list[Source]:
    """Every file's name and content; of a file that cannot be read None and the reason, so that the others go on."""
    found: list[Source] = []
    for name in args.files:
        try:
            found.append((name, read(Path(name)), ""))
        except UserError as error:
            found.append((name, None, str(error).removeprefix(f"{Path(name)}: ")))
    return found


def texts(args: Namespace) -> tuple[tuple[Text, ...], bool]:
    """The texts as the target reads them, and whether the target is causal."""
    prepared, target, _ = _prepared(args)
    return prepared, target.causal


def texts_and_odd(args: Namespace) -> tuple[tuple[Text, ...], bool, tuple[Text, ...]]:
    """The same, and texts of other kinds, however short."""
    from harness.odd import odd_texts

    prepared, target, annotator = _prepared(args)
    return prepared, target.causal, odd_texts(target, args.max_tokens, annotator)


def _prepared(args: Namespace) -> tuple[tuple[Text, ...], Target, Annotator | None]:
    from harness.annotate import load_annotator
    from harness.targets import load_target, prepare
    from harness.texts import load_all

    annotator = load_annotator(args.annotator) if args.annotator else None
    raw = load_all(args.text, POOL, args.column)
    target = load_target(args.target)
    prepared, notes = prepare(target, raw, args.max_tokens, annotator)
    for line in notes:
        output.note(line)
    return prepared, target, annotator
