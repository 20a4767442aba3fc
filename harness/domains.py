"""Texts of several kinds (domains): what `--text`, `--column`, `--hold-out` and `--max-texts` say, read into three splits."""

from __future__ import annotations

import hashlib
import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from harness.errors import UsageError, UserError
from harness.texts import MAX_TEXTS, TEXT_COLUMN, Splits, load_all, load_texts
from search.folder import SPLITS

NAMED = re.compile(r"([A-Za-z0-9][\w.-]*)=(.*)", re.DOTALL)
SPELLED = re.compile(r"[^\w.-]+")  # what no name has
MIXTURE = "mixture"  # as `--text` names the kinds of text that ship with the project
MIXTURE_FOLDER = Path(__file__).parent / "mixture"
MIXTURE_KINDS = ("stories", "wiki", "code", "math", "dialogue")
SHOWN = 40  # letters of a text that a message quotes


@dataclass(frozen=True)
class Source:
    """Where the texts of a domain come from, and which column of a table holds them."""

    name: str
    spec: str
    column: str = TEXT_COLUMN


@dataclass(frozen=True)
class Corpus:
    """The texts of all domains by split, one of each domain after the other, and the name of each text's domain.

    Held-out domains stand in `test` alone. No text stands in two splits or two domains.
    """

    texts: Mapping[str, tuple[str, ...]]
    domains: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]
    held_out: tuple[str, ...]
    fingerprint: str  # hash of the texts, their domains and their splits
    notes: tuple[str, ...]


def text_options(parser: ArgumentParser, default: str = "demo for the demo model, else the mixture that ships with it") -> None:
    """`--text` and `--column`, as every command takes them that reads several kinds of text."""
    parser.add_argument(
        "--text",
        action="append",
        metavar="[NAME=]T",
        help="texts: demo, mixture, a .jsonl/.txt/.csv/.parquet file, a folder with train/validation/test files, or a datasets id; "
        f"with a NAME it can be given once for each kind of text (default: {default})",
    )
    column_option(parser)


def column_option(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--column", default=TEXT_COLUMN, metavar="NAME", help=f"the column of tables that holds the text (default: {TEXT_COLUMN})"
    )


def split_options(parser: ArgumentParser) -> None:
    """`--hold-out` and `--max-texts`, as commands take them that split texts into fit, select and test."""
    parser.add_argument(
        "--hold-out",
        action="append",
        default=[],
        metavar="NAME",
        help="a kind of text that no program is searched on, reported beside the others; can be given several times",
    )
    parser.add_argument(
        "--max-texts",
        type=max_texts,
        default=MAX_TEXTS,
        metavar="FIT,SELECT,TEST",
        help=f"texts of each kind used at most (default: {','.join(map(str, MAX_TEXTS))})",
    )


def max_texts(text: str) -> tuple[int, int, int]:
    """An argument type: "60,25,25"."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise ArgumentTypeError(f"{text!r}: expected three numbers above zero, as in {','.join(map(str, MAX_TEXTS))}")
    fit, select, test = map(int, parts)
    return fit, select, test


def sources(given: Sequence[str] | None, column: str = TEXT_COLUMN, target: str = "demo") -> tuple[Source, ...]:
    """The domains that `--text` names, by default those for the target.

    UsageError: one without a name beside others, a name twice, nothing before or after the =.
    """
    found: list[Source] = []
    for text in given or ["demo" if target == "demo" else MIXTURE]:
        match = NAMED.fullmatch(text)
        if text.startswith("=") or not text:
            raise UsageError(f"--text {text}: no name before the =; expected NAME=T")
        if match and not match[2].strip():
            raise UsageError(f"--text {text}: nothing after the =; expected NAME=T")
        if match is None and text != MIXTURE and len(given or ()) > 1:
            raise UsageError(f"--text {text}: several kinds of text need a name each, as in --text stories={text}")
        if text == MIXTURE:
            found += [Source(kind, str(MIXTURE_FOLDER / kind)) for kind in MIXTURE_KINDS]
            continue
        found.append(Source(match[1], match[2], column) if match else Source(domain_name(text), text, column))
    for i, source in enumerate(found):
        if any(source.name == other.name for other in found[:i]):
            raise UsageError(f"--text {source.name}=: the name is given twice")
    return tuple(found)


def domain_name(spec: str) -> str:
    """What the only kind of text is called that has no name: the last part of where it comes from."""
    path = Path(spec)
    return SPELLED.sub("-", path.stem if path.suffix else path.name).strip("-") or "text"


def load_corpus(given: Sequence[Source], seed: int, most: tuple[int, int, int] = MAX_TEXTS, held_out: Sequence[str] = ()) -> Corpus:
    """The texts of all domains. Raises UserError or UsageError, one line that names the domain."""
    names = tuple(source.name for source in given)
    for name in held_out:
        if name not in names:
            raise UsageError(f"--hold-out {name}: no such kind of text; --text gives {', '.join(names)}")
    if set(names) <= set(held_out):
        raise UsageError("--hold-out: every kind of text is held out; at least one must be searched on")
    splits: dict[str, Splits] = {}
    for source in given:
        try:
            splits[source.name] = load_texts(source.spec, seed, most, source.column)
        except UserError as error:
            raise UserError(str(error) if len(given) == 1 else f"--text {source.name}=: {error}") from error
    kept = {
        split: {name: getattr(part, split) for name, part in splits.items() if split == "test" or name not in held_out}
        for split in SPLITS
    }
    _refuse_shared(kept.values())
    texts, domains = {}, {}
    for split, by_name in kept.items():
        pairs = in_turn([[(text, name) for text in part] for name, part in by_name.items()])
        texts[split], domains[split] = tuple(t for t, _ in pairs), tuple(n for _, n in pairs)
    digest = hashlib.sha256(json.dumps([texts, domains]).encode()).hexdigest()[:16]
    notes = [line for part in splits.values() for line in part.notes]
    notes += [line for name, part in splits.items() for line in _cut(part, kept, name)]
    if held_out:
        notes.append(f"held out, so that no program is searched on it: {', '.join(n for n in names if n in held_out)}")
    return Corpus(texts, domains, names, tuple(n for n in names if n in held_out), digest, tuple(notes))


def _cut(part: Splits, kept: Mapping[str, Mapping[str, Sequence[str]]], name: str) -> list[str]:
    """What the maximum has left out of a domain, in one line."""
    used = {split: (len(kept[split][name]), found) for split, found in zip(SPLITS, part.found, strict=True) if name in kept[split]}
    cut = [f"{number:,} of {found:,} texts used for {split}" for split, (number, found) in used.items() if number < found]
    return [f"{name}: {', '.join(cut)} (--max-texts)"] if cut else []


def load_test(given: Sequence[Source], most: int) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Texts to measure on, at most so many of each domain (of a folder: its test part), the domain of each, and notes."""
    parts, notes = [], []
    for source in given:
        found = load_all(source.spec, most + 1, source.column)
        if len(found) > most:
            notes.append(f"the first {most} texts of {source.spec} are used")
        parts.append([(text, source.name) for text in found[:most]])
    pairs = in_turn(parts)
    return tuple(t for t, _ in pairs), tuple(n for _, n in pairs), notes


def in_turn(parts: Iterable[Sequence[tuple[str, str]]]) -> list[tuple[str, str]]:
    """One of each part after the other, so that the first texts are of every kind."""
    return [pair for row in zip_longest(*parts) for pair in row if pair is not None]


def _refuse_shared(splits: Iterable[Mapping[str, Sequence[str]]]) -> None:
    """UserError where a text stands in two domains: it would count twice, or be searched on though held out."""
    owner: dict[str, str] = {}
    for by_name in splits:
        for name, part in by_name.items():
            for text in part:
                if owner.setdefault(text, name) != name:
                    start = json.dumps(text[:SHOWN], ensure_ascii=False)
                    raise UserError(f"--text {owner[text]}= and {name}=: the same text is in both ({start} …)")
