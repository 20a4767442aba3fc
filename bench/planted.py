"""Programs that are known, hidden in attention patterns, and looked for: the one test where the right answer is known.

    python bench/planted.py [--count 100] [--noise 0,0.05,0.2] [--evaluations 8000] [--corpus FOLDER] [--list]

Programs of seven kinds (positional, lexical, relational, structural, sinks, mixtures, long) are drawn over the language's words;
with --corpus some are lifted from Python that a language model wrote. Each becomes a head: its pattern on the texts that ship with
headscript, mixed with rows of Dirichlet noise. The search sees stories, encyclopaedic prose, maths and dialogue; code is held out.
Recovered: a program of the head's front whose IoU with the planted pattern, without the noise, on the held-out code is at least
0.98 (with noise 0.95) at no more than 1.2 times the planted size. Texts are split into words, pieces of words, numbers and signs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.targets import table
from dsl import Batch, Program, evaluate, parse, parse_expression, simplify, size
from dsl.evaluator import value
from dsl.text import Text, plain_text
from search.forms.vocabulary import CLASSES, KEYS, relations

MIXTURE = Path(__file__).parents[1] / "harness" / "mixture"
SEEN, HELD_OUT = ("stories", "wiki", "math", "dialogue"), "code"
COUNTS = {"fit": 16, "select": 8, "test": 16}  # texts of each kind
TOKENS = 72  # of a text, at most
PIECE = 7  # letters of a word's first piece
ENOUGH, ENOUGH_NOISY, LONGER = 0.98, 0.95, 1.2
COMMON = 0.01  # of all tokens, of which a class must hold, or fail, to be planted
_BEYOND = re.compile(r"\b(pos|dep|tag|head|entity|lemma|similarity|is_stop|word|sentence|piece)\(")  # what plain texts have not
_SPLIT = re.compile(r"\n[ \t]*| ?[^\W\d_]+| ?\d+|[ \t]+|.", re.DOTALL)


def tokens(text: str) -> list[str]:
    """Words with the space before them, long ones in two pieces, numbers, signs, line breaks with the indentation after them."""
    found: list[str] = []
    for part in _SPLIT.findall(text):
        cut = PIECE + part.startswith(" ")
        found += [part] if len(part) <= cut + 2 or not part.strip().isalpha() else [part[:cut], part[cut:]]
    return found[:TOKENS]


def texts(kind: str, split: str) -> list[Text]:
    lines = (MIXTURE / kind / f"{'train' if split == 'fit' else 'validation' if split == 'select' else 'test'}.jsonl").read_text()
    given = [json.loads(line)["text"] for line in lines.splitlines() if line.strip()]
    return [plain_text(tokens(text)) for text in given[: COUNTS[split]]]


class Drawn:
    """Programs of each kind, drawn with a seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        seen = Batch([text for kind in SEEN for text in texts(kind, "fit")], causal=True)
        held = {name: float(value(parse_expression(f"{name}(k)"), seen)[:, 0][seen.valid].mean()) for name in CLASSES}
        self.classes = [name for name in CLASSES if COMMON < held[name] < 1 - COMMON]  # what a search can see
        relational = [r for r in relations(causal=True) if "similarity" not in r]
        self.words = [r for r in relational if "text" in r or "strip" in r]
        self.places = [r for r in relational if "p" in r and r not in self.words]
        self.relations = relational

    def one(self, items: Sequence[Any]) -> Any:
        return items[self.rng.integers(len(items))]

    def number(self, low: float, high: float) -> str:
        return f"{float(np.exp(self.rng.uniform(np.log(low), np.log(high)))):.2g}"

    def base(self) -> str:
        decay, power = self.rng.uniform(0.6, 0.98), self.number(0.5, 2)
        return self.one([f"add {decay:.2g} ** dist", f"add (dist + 1) ** -{power}", f"add {self.number(0.01, 0.1)}"])

    def rule(self, guard: str) -> str:
        return f"when {guard} {self.one(['add ' + self.number(0.3, 4), 'scale ' + self.number(3, 12)])}"

    def steps(self, low: float, high: float) -> str:
        most = f"{self.number(high / 2, high)}"
        return f"{self.number(low, low * 2)} if {self.one(self.classes)}(q) else {most}"

    def positional(self) -> str:
        dist = self.rng.integers(1, 4)
        near = self.one([f"dist == {dist}", f"dist <= {2**dist}"])
        return self.one([self.base(), f"{self.base()}\n{self.rule(near)}"])

    def lexical(self) -> str:
        query = f"{self.one(self.classes)}(q) and " if self.rng.random() < 0.5 else ""
        return f"{self.base()}\n{self.rule(f'{query}{self.one(self.classes)}(k)')}"

    def relational(self) -> str:
        return f"{self.base()}\n{self.rule(self.one(self.words))}"

    def structural(self) -> str:
        return f"{self.base()}\n{self.rule(self.one(self.places))}"

    def sink(self) -> str:
        return f"{self.base()}\nwhen {self.one(['start', 'start', *KEYS[1:3]])}(k) add {self.steps(1, 20)}"

    def mixture(self) -> str:
        first, second = self.rng.uniform(0.2, 0.5), self.rng.uniform(0.1, 0.4)
        return f"{self.base()}\nwhen start(k) share {first:.2g}\nwhen {self.one(self.classes)}(k) share {second:.2g}"

    def long(self) -> str:
        more = [self.rule(f"{self.one(self.classes)}(k)") for _ in range(self.rng.integers(1, 3))]
        return "\n".join([self.sink(), *more, self.rule(self.one(self.relations))])

    def all(self, count: int) -> list[tuple[str, Program]]:
        kinds = ("positional", "lexical", "relational", "structural", "sink", "mixture", "long")
        return [(kinds[i % 7], simplify(parse(getattr(self, kinds[i % 7])()))) for i in range(count)]


def lifted(folder: Path, most: int) -> list[tuple[str, Program]]:
    """Programs of at most 60 tokens, lifted from Python files, that need neither an annotator nor embeddings."""
    from dsl.lift import Refusal, lift

    found = []
    for path in sorted(folder.glob("*.py")):
        try:
            program = lift(path.read_text(encoding="utf-8")).program
        except Refusal:
            continue
        if size(program) <= 60 and not _BEYOND.search(str(program)):
            found.append(("lifted", program))
    return found[:most]


def pattern(program: Program, given: Sequence[Text], noise: float = 0.0, rng: np.random.Generator | None = None) -> np.ndarray:
    """Its cells on the texts, text after text; noise: the part of each row that is drawn from a flat Dirichlet distribution."""
    parts = []
    for text, weights in zip(given, evaluate(program, Batch(list(given), causal=True)), strict=True):
        n = len(text)
        mine = weights[:n, :n]
        if noise and rng is not None:
            rows = np.tril(rng.gamma(1.0, 1.0, (n, n)))
            mine = (1 - noise) * mine + noise * rows / rows.sum(1, keepdims=True)
        parts.append(mine.ravel())
    return np.concatenate(parts)


def hide(path: Path, planted: Sequence[Program], noise: float, seed: int) -> Any:
    """A run folder whose heads attend as the programs say."""
    from search.folder import RunFolder

    folder = RunFolder(path)
    model = {"layers": 1, "heads": len(planted), "causal": True, "windows": [None]}
    folder.start({"settings": {"seed": seed, "held_out": [HELD_OUT]}, "model": model})
    for number, split in enumerate(COUNTS):
        kinds = (*SEEN, *([HELD_OUT] if split == "test" else []))
        given = [(kind, text) for kind in kinds for text in texts(kind, split)]
        folder.write_texts(split, [text for _, text in given], [kind for kind, _ in given])
        rng = np.random.default_rng([seed, number])
        where = path / f"{split}.npy"
        np.save(where, np.array([pattern(p, [t for _, t in given], noise, rng) for p in planted]).astype(np.float16))
        folder.write(f"attention/{split}.json", {"path": str(where)})
    return folder


def search(folder: Any, count: int, evaluations: int, workers: int) -> list[dict[str, Any]]:
    """The heads of the run's result."""
    from search.campaign import Campaign, Plan
    from search.executors import executor

    plan = Plan(heads=tuple(range(count)), evaluations=evaluations * count, parsimony=0.00015)
    with executor(None, workers) as pool:
        Campaign(folder, plan, pool, workers, lambda *_: None).run({"target": "planted"})
    heads: list[dict[str, Any]] = folder.read("result.json")["heads"]
    return heads


def best(record: dict[str, Any], planted: Program, clean: np.ndarray, given: Sequence[Text]) -> tuple[float, int]:
    """IoU with the clean pattern on held-out texts, and size, of the front's best program within 1.2 times the planted size."""
    found = [(0.0, 0)]
    offsets = np.cumsum([0, *(len(t) ** 2 for t in given)])
    for row in record["front"]:
        if row["size"] <= LONGER * size(planted):
            mine = pattern(parse(row["program"]), given)
            parts = [(mine[a:b], clean[a:b]) for a, b in pairwise(offsets)]
            found.append((float(np.mean([np.minimum(x, y).sum() / np.maximum(x, y).sum() for x, y in parts])), row["size"]))
    return max(found)


def rows(planted: Sequence[tuple[str, Program]], results: Sequence[tuple[float, int]], noise: float) -> Iterator[list[str]]:
    enough = ENOUGH_NOISY if noise else ENOUGH
    for kind in (*dict.fromkeys(k for k, _ in planted), "all"):
        mine = [(p, r) for (k, p), r in zip(planted, results, strict=True) if kind in (k, "all")]
        recovered = sum(iou >= enough for _, (iou, _) in mine) / len(mine)
        ratio = np.median([s / size(p) for p, (_, s) in mine])
        middle = np.median([iou for _, (iou, _) in mine])
        yield [kind, f"{noise:g}", str(len(mine)), f"{recovered:.0%}", f"{middle:.3f}", f"{ratio:.2f}"]


def main() -> int:
    from search.executors import cores

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100, help="programs that are drawn")
    parser.add_argument("--noise", default="0,0.05,0.2", help="parts of each row, a table for each")
    parser.add_argument("--evaluations", type=int, default=8000, help="programs scored for each head")
    parser.add_argument("--corpus", type=Path, help="a folder of Python programs, of which some are lifted and planted too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--list", action="store_true", help="also each program that was not recovered, beside the nearest found")
    args = parser.parse_args()
    planted = Drawn(args.seed).all(args.count) + (lifted(args.corpus, 20) if args.corpus else [])
    programs = [p for _, p in planted]
    given = texts(HELD_OUT, "test")
    clean = [pattern(p, given) for p in programs]
    lines = []
    for noise in map(float, args.noise.split(",")):
        with TemporaryDirectory() as name:
            heads = search(hide(Path(name) / "run", programs, noise, args.seed), len(programs), args.evaluations, args.workers)
        results = [best(record, p, c, given) for record, p, c in zip(heads, programs, clean, strict=True)]
        lines += list(rows(planted, results, noise))
        for (kind, program), record, (iou, _) in zip(planted, heads, results, strict=True):
            if args.list and iou < (ENOUGH_NOISY if noise else ENOUGH):
                print(f"\n{kind}, noise {noise:g}: {iou:.3f} on held-out code, shown {record['iou']['select']:.3f}")
                print(f"{program}\n-- found\n{record['program']}")
    print(table(["kind", "noise", "programs", "recovered", "median IoU", "median size ratio"], lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
