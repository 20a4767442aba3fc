"""Reads texts from files, folders and dataset hubs into three splits that never share a text.

`fit` is for constants and evolution, `select` for ranking and cover, `test` is reported and looked at once.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import UserError

SUFFIXES = (".jsonl", ".txt", ".csv", ".parquet")
MAX_TEXTS = (60, 25, 25)  # fit, select, test: the sizes at which the figures of the README were measured
TEXT_COLUMN = "text"  # of tables, unless --column names another one
HUB_ROWS = 1000  # the most rows that `load_all` streams from a dataset hub
DEMO = Path(__file__).parent / "demo" / "texts"

# What published folders and datasets call the three parts.
PARTS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation"}
PARTS["test"] = "test"
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Splits:
    """Texts of the three splits; no text stands in two of them, or twice in one."""

    fit: tuple[str, ...]
    select: tuple[str, ...]
    test: tuple[str, ...]
    name: str  # as the user gave it
    fingerprint: str  # hash of the texts and of the split that each stands in
    found: tuple[int, int, int]  # different texts that were read for each split, before the maximum
    notes: tuple[str, ...] = ()  # what else was left out, one line each


def load_texts(spec: str | Path, seed: int, max_texts: tuple[int, int, int] = MAX_TEXTS, column: str = TEXT_COLUMN) -> Splits:
    """Splits of "demo", a file (.jsonl .txt .csv .parquet), a folder of such files, or a datasets id.

    train, validation and test become fit, select and test, each in file order up to its maximum in `max_texts`.
    Without a test part the validation part is halved, one part alone is split 60/20/20; both after a shuffle with `seed`.
    column: of tables, the one that holds the text. Raises UserError (one line) where nothing usable is found.
    """
    spec, notes = str(spec), list[str]()
    parts = _read_parts(spec, sum(max_texts), notes, column)
    unique: dict[str, list[str]] = {}
    seen: set[str] = set()
    repeated = 0
    for part in ("train", "validation", "test"):  # the first to name a text keeps it
        if part in parts:
            texts = parts[part]
            unique[part] = [t for t in dict.fromkeys(texts) if t not in seen]
            repeated += len(texts) - len(unique[part])
            seen.update(unique[part])
    if repeated:
        notes.append(f"{repeated} repeated text{'s' * (repeated > 1)} left out of {spec}, so that no two splits share one")
    whole = _three_ways(unique, spec, seed)
    fit, select, test = (tuple(texts[:n]) for texts, n in zip(whole, max_texts, strict=True))
    digest = hashlib.sha256(json.dumps([fit, select, test]).encode()).hexdigest()[:16]
    fit_found, select_found, test_found = map(len, whole)
    return Splits(fit, select, test, spec, digest, (fit_found, select_found, test_found), tuple(notes))


def load_all(spec: str | Path, max_texts: int | None = None, column: str = TEXT_COLUMN) -> tuple[str, ...]:
    """All texts of a file, or those of the test part of a folder or dataset (else of its last part), in file order.

    A text that is repeated is kept once. `max_texts` takes the first so many; of a dataset hub never more than HUB_ROWS.
    """
    parts = _read_parts(str(spec), HUB_ROWS if max_texts is None else max_texts, [], column, only_last=True)
    last = next(parts[part] for part in ("test", "validation", "train") if part in parts)
    return tuple(dict.fromkeys(last))[:max_texts]


def _three_ways(parts: Mapping[str, list[str]], spec: str, seed: int) -> tuple[list[str], list[str], list[str]]:
    """(fit, select, test) from one, two or three parts; each is non-empty."""
    if len(parts) == 3:
        splits = (parts["train"], parts["validation"], parts["test"])
    elif len(parts) == 2 and "train" in parts:
        rest = _shuffled(next(texts for part, texts in parts.items() if part != "train"), seed)
        splits = (parts["train"], rest[: (len(rest) + 1) // 2], rest[(len(rest) + 1) // 2 :])
    else:
        texts = _shuffled([text for part in parts.values() for text in part], seed)
        fifth = max(1, round(len(texts) / 5))
        cut = len(texts) - 2 * fifth
        splits = (texts[: max(cut, 0)], texts[max(cut, 0) : cut + fifth], texts[max(cut + fifth, 0) :])
    if not all(splits):
        total = sum(map(len, splits))
        raise UserError(
            f"{spec}: {total} different text{'s' * (total != 1)} cannot fill the splits fit, select and test; give more"
        )
    return splits


def _shuffled(texts: Sequence[str], seed: int) -> list[str]:
    shuffled = list(texts)
    random.Random(seed).shuffle(shuffled)
    return shuffled


def _read_parts(spec: str, rows: int, notes: list[str], column: str, only_last: bool = False) -> dict[str, list[str]]:
    """Texts by part ("train", "validation", "test"), stripped, empty ones dropped; a single file is one part, "train".

    At most `rows` rows of each part of a hub dataset are read. With `only_last` only the part nearest to test is.
    """
    path = DEMO if spec == "demo" else Path(spec).expanduser()
    try:
        if path.is_dir():
            sources: dict[str, Callable[[], list[str | None]]] = _folder(path, spec, column)
        elif path.is_file():
            sources = {"train": partial(_read_files, [path], column)}
        elif path.suffix.lower() in SUFFIXES or not HUB_ID.fullmatch(spec):
            raise UserError(f"{spec}: no such file or folder of texts")
        else:
            sources = _hub(spec, rows, column)
        if only_last:
            last = next(part for part in ("test", "validation", "train") if part in sources)
            sources = {last: sources[last]}
        raw = {part: [(text or "").strip() for text in read()] for part, read in sources.items()}
    except OSError as error:
        raise UserError(f"{error.filename or spec}: cannot be read ({error.strerror or error})") from error
    empty = sum(not text for texts in raw.values() for text in texts)
    if empty:
        notes.append(f"{empty} empty text{'s' * (empty > 1)} left out of {spec}")
    parts = {part: [text for text in texts if text] for part, texts in raw.items()}
    for part, texts in parts.items():
        if not texts:
            raise UserError(f"{spec}: holds no text" + (f" in its part {part}" if len(parts) > 1 else ""))
    return parts


def _folder(path: Path, spec: str, column: str) -> dict[str, Callable[[], list[str | None]]]:
    """A reader of each part's files: train.jsonl, valid.txt, or shards such as train-00000-of-00002.parquet."""
    files: dict[str, list[Path]] = {}
    for file in sorted(path.iterdir()):
        part = PARTS.get(re.split(r"[-._]", file.name.lower())[0])
        if part and file.suffix.lower() in SUFFIXES and file.is_file():
            files.setdefault(part, []).append(file)
    if not files:
        raise UserError(f"{spec}: no train, validation or test file ({', '.join(SUFFIXES)}) in this folder")
    return {part: partial(_read_files, paths, column) for part, paths in files.items()}


def _read_files(paths: Iterable[Path], column: str) -> list[str | None]:
    return [text for path in paths for text in _read_file(path, column)]


def _read_file(path: Path, column: str) -> list[str | None]:
    """The texts of one file; None where a row has none."""
    readers = {".jsonl": _read_jsonl, ".txt": _read_txt, ".csv": _read_csv, ".parquet": _read_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path}: texts come as {', '.join(SUFFIXES)}, not as {path.suffix or 'a file without a suffix'}")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty")
    return reader(path, column)


def _read_txt(path: Path, column: str) -> list[str | None]:
    """Paragraphs separated by blank lines where there are any, else lines."""
    text = _decode(path).strip()
    paragraphs = re.split(r"\n[ \t]*\n\s*", text)
    return list(paragraphs if len(paragraphs) > 1 else text.split("\n"))


def _read_jsonl(path: Path, column: str) -> list[str | None]:
    rows = []
    for number, line in enumerate(_decode(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{path}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise UserError(f'{path}, line {number}: expected an object such as {{"text": "..."}}')
        rows.append(row)
    return _column(rows, str(path), column)


def _read_csv(path: Path, column: str) -> list[str | None]:
    csv.field_size_limit(2**31 - 1)  # the default, 128 KiB, is shorter than some books
    try:
        reader = csv.DictReader(io.StringIO(_decode(path), newline=""), restkey="", strict=True)
        return _column([{name: value for name, value in row.items() if name} for row in reader], str(path), column)
    except csv.Error as error:
        raise UserError(f"{path}: not CSV ({error})") from error


def _read_parquet(path: Path, column: str) -> list[str | None]:
    import pyarrow
    import pyarrow.parquet

    try:
        return _column(pyarrow.parquet.read_table(path).to_pylist(), str(path), column)
    except pyarrow.ArrowException as error:
        raise UserError(f"{path}: not Parquet ({str(error).splitlines()[0]})") from error


def _hub(spec: str, rows: int, column: str) -> dict[str, Callable[[], list[str | None]]]:
    """A reader of the first `rows` rows of each part of a dataset, streamed."""
    from huggingface_hub import HfApi

    try:
        # Asked first because it answers at once; `datasets` would try again for most of a minute.
        HfApi().dataset_info(spec, timeout=10)
        import datasets

        datasets.disable_progress_bars()
        datasets.logging.set_verbosity_error()
        streams = datasets.load_dataset(spec, streaming=True)
    except Exception as error:  # the libraries raise dozens of kinds: connection, access, format, missing configuration
        raise UserError(
            f"{spec}: neither a file or folder here nor a dataset that the hub lets us read ({_first_line(error)})"
        ) from error
    found = {PARTS[name]: stream for name, stream in streams.items() if name in PARTS}
    if not found:
        raise UserError(f"{spec}: no train, validation or test part among {', '.join(streams)}")
    return {part: partial(_read_stream, stream, rows, spec, column) for part, stream in found.items()}


def _read_stream(stream: Any, rows: int, spec: str, column: str) -> list[str | None]:
    try:
        taken = list(stream.take(rows))
    except Exception as error:
        raise UserError(f"{spec}: the hub stopped answering ({_first_line(error)}); try again") from error
    return _column(taken, spec, column)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _column(rows: Sequence[Mapping[str, Any]], where: str, name: str) -> list[str | None]:
    """The column called `name`."""
    if not rows:
        raise UserError(f"{where}: holds no text")
    names = list(dict.fromkeys(name for row in rows for name in row))
    if name not in names:
        raise UserError(f'{where}: no column "{name}"; name the one to read with --column (it has {", ".join(names)})')
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get(name), str | None):
            raise UserError(f'{where}, row {number}: "{name}" is not a string')
    return [row.get(name) for row in rows]


def _decode(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from error
