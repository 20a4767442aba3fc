"""Lifting: every case of the table and the shared corpus agree with a plain run of the program; refusals say where and why."""

from __future__ import annotations

import ast
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dsl.batch import Batch
from dsl.evaluator import evaluate
from dsl.lift import Refusal, lift
from dsl.parser import parse
from dsl.text import Text, Word
from tests.dsl.lift_cases import CASES
from tests.dsl.lift_plain import run_plainly
from tests.spelling import spelled

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"

SENTENCES = [
    "<s> ▁Once ▁upon ▁a ▁time , ▁there ▁w as ▁a ▁little ▁g ir l . ▁She ▁play ed ▁in ▁the ▁park , ▁and ▁she ▁was ▁happy ! <0x0A>",
    "<s> ▁Hi .",
    '<s> " ▁Why ? " ▁ask ed ▁T im . ▁T im ▁T im ▁was ▁sad , ▁so ▁sad . " ▁No ! " ▁said ▁Mom . ▁The ▁the ▁the',
    '[CLS] the cat sat . the cat ran , but he didn \' t see the dog ! so he said : " why ? " [SEP]',
    "[CLS] she was named lily [SEP]",
]
TAGS = [("NOUN", "nsubj"), ("VERB", "ROOT"), ("DET", "det"), ("ADJ", "amod"), ("PRON", "nsubj"), ("PROPN", "obj"), ("AUX", "aux")]


def annotated(sentence: str, seed: int = 0) -> Text:
    """A text with made-up words: a word per token, some of two tokens, the special tokens without; a random tree per sentence."""
    rng = random.Random(f"{sentence}{seed}")
    pieces = sentence.split(" ")
    text = spelled(pieces, "sentencepiece" if pieces[0] == "<s>" else "wordpiece")
    alignment: list[tuple[int, ...]] = []
    spellings: list[str] = []
    for token, special in zip(text.tokens, text.special, strict=True):
        if special or (rng.random() < 0.05):
            alignment.append(())
        elif spellings and rng.random() < 0.2:
            spellings[-1] += token.strip()
            alignment.append((len(spellings) - 1,))
        else:
            spellings.append(token.strip() or "x")
            alignment.append(
                (len(spellings) - 1,) if rng.random() < 0.9 or len(spellings) < 2 else (len(spellings) - 2, len(spellings) - 1)
            )
    sentences: list[int] = []
    number = 0
    for s in spellings:
        sentences.append(number)
        number += s[-1] in ".!?"
    heads: dict[int, int] = {}
    for number in dict.fromkeys(sentences):
        own = [v for v in range(len(spellings)) if sentences[v] == number]
        reached = [own[len(own) // 2]]  # the root, then words in any order, each governed by one before
        heads[reached[0]] = reached[0]
        for w in rng.sample(own, len(own)):
            if w not in heads:
                heads[w] = rng.choice(reached[-3:])
                reached.append(w)
    words = []
    for w, s in enumerate(spellings):
        own = [v for v in range(len(spellings)) if sentences[v] == sentences[w]]
        root, head = own[len(own) // 2], heads[w]
        pos, dep = ("PUNCT", "punct") if not s[0].isalpha() else rng.choice(TAGS)
        words.append(
            Word(
                s, w, s.lower(), pos, pos, "ROOT" if w == root else dep, head, "PERSON" if pos == "PROPN" else "",
                sent=sentences[w], is_sent_start=w == own[0], is_punct=pos == "PUNCT", is_stop=s.lower() in ("the", "a", "was"),
            )
        )  # fmt: skip
    return replace(text, words=tuple(words), alignment=tuple(alignment), annotated=True)


TEXTS = [annotated(s) for s in SENTENCES]


def difference(source: str, causal: bool) -> float:
    """The largest difference between a plain run and the lifted program, over texts of the kind the program is for."""
    texts = [t for t in TEXTS if (t.tokens[0] == "<s>") == causal]
    patterns = evaluate(lift(source).program, Batch(texts, causal))
    worst = 0.0
    for pattern, text in zip(patterns, texts, strict=True):
        n = len(text)
        worst = max(worst, float(np.abs(pattern[:n, :n] - run_plainly(source, text, causal)).max()))
    return worst


@pytest.mark.parametrize("name", CASES)
def test_case_agrees_with_its_original(name: str) -> None:
    causal, source = CASES[name]
    assert difference(source, causal) <= 1e-6


@pytest.mark.parametrize("name", CASES)
def test_lifted_program_is_canonical_text(name: str) -> None:
    program = lift(CASES[name][1]).program
    assert parse(str(program)) == program


@pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus is not beside this checkout")
def test_corpus() -> None:
    refused, wrong = {}, {}
    evaluate(parse("add 1\nadd row"), Batch(TEXTS))  # so that no program's time is that of compiling the inner loops
    files = sorted(CORPUS.glob("*.py"))
    for file in files:
        source = file.read_text()
        started = time.process_time()
        try:
            worst = difference(source, "stories" in file.name)
        except Refusal as refusal:
            refused[file.name] = str(refusal)
            if "np.random" in source:
                assert "random numbers" in str(refusal)
        else:
            assert time.process_time() - started < 6
            if worst > 1e-6:
                wrong[file.name] = worst
    assert not wrong
    assert len(files) - len(refused) >= 74, refused


def test_name_and_last_function() -> None:
    source = CASES["guarded_globals"][1]
    assert lift(source).name == "stops"
    assert "decoy" not in lift("def decoy(a, b):\n    return 1\n" + source).name


HEAD = """\
import numpy as np
def program(sentence, tokenizer):
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(sentence).input_ids)
    n = len(tokens)
    A = np.zeros((n, n))
"""
REFUSALS = {
    "randomness": ("    A += np.random.rand(n, n)\n    return 'x', A\n", 6, "random numbers have no fixed meaning"),
    "generator": ("    rng = np.random.default_rng(0)\n    A += rng.random((n, n))\n    return 'x', A\n", 6, "random numbers"),
    "import": ("    import os\n    return 'x', A\n", 6, "import of os"),
    "from import": ("    from scipy.special import softmax\n    return 'x', A\n", 6, "import of scipy.special"),
    "open": ("    open('x').read()\n    return 'x', A\n", 6, "'open' is not part of the environment"),
    "unbounded": ("    x = 1.0\n    while x > 0.001:\n        x = x / 2\n    return 'x', A\n", 7, "while loop"),
    "endless": ("    while True:\n        n = n\n    return 'x', A\n", 6, "while loop"),
    "recursion": ("    def f(i):\n        return f(i - 1)\n    A[0, 0] = f(3)\n    return 'x', A\n", 7, "recursion"),
    "sorting by strings": ("    s = sorted(range(n), key=lambda i: tokens[i])\n    A[0, s[0]] = 1\n    return A\n", 6, "sorting"),
    "regular expression": ("    import re\n    A[0, 0] = bool(re.match('a', tokens[0]))\n    return A\n", 7, "regular expr"),
    "changed after it was put aside": (
        "    all_, own = [], []\n    for i in range(n):\n        own.append(i)\n"
        "        if tokens[i] == '.':\n            all_.append(own)\n        if tokens[i] == ',':\n            own = []\n"
        "    for g in all_:\n        A[g[-1], g[0]] = 1\n    return 'x', A\n",
        None,
        "changed after it was put into another",
    ),
    "two names for a list": (
        "    a = []\n    b = a\n    for i in range(n):\n        if tokens[i] == '.':\n            a = []\n        if i > 2:\n"
        "            a.append(i)\n        A[i, len(b)] = 1\n    return 'x', A\n",
        None,
        "changing a list inside another",
    ),
    "order of writes": (
        "    for i in range(n):\n        for j in range(n):\n            A[i, j] = 0.5\n            A[i, 0] *= 2\n"
        "            A[j, i] = 0.1\n    return 'x', A\n",
        None,
        "order",
    ),
    "order of writes to a list": (
        "    w = [0] * n\n    for i in range(n - 1):\n        w[i] = 1\n        if tokens[i] == ',':\n            w[i + 1] = 5\n"
        "    for i in range(n):\n        A[i, 0] = w[i]\n    return 'x', A\n",
        None,
        "order",
    ),
    "alphabetical order": (
        "    for i in range(n):\n        if tokens[i] < tokens[0]:\n            A[i, 0] = 1\n    return 'x', A\n",
        7,
        "alphabetical order",
    ),
    "zip of different lists": (
        "    a = [k for k in range(n) if tokens[k] == 'a']\n    b = [k for k in range(n) if tokens[k] == 'b']\n"
        "    for i, j in zip(a[1:], b[:-1]):\n        A[i, j] = 1\n    return 'x', A\n",
        8,
        "zip of filtered lists",
    ),
    "a number turned round by another amount": (
        "    x = 0\n    for i in range(n):\n        A[i, 0] = x\n        x = i - x\n    return 'x', A\n",
        None,
        "computed from its own value",
    ),
    "no matrix": ("    return 'x'\n", None, "does not return a matrix"),
    "alias": ("    row = []\n    rows = []\n    rows.append(row)\n    row.append(1)\n    return 'x', A\n", 9, "put into another"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_names_line_and_reason(name: str) -> None:
    body, line, reason = REFUSALS[name]
    with pytest.raises(Refusal) as caught:
        lift(HEAD + body)
    assert reason in caught.value.reason
    assert line is None or caught.value.line == line


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("def program(a, b)\n    pass", 1, "not Python"),
        ("x = 1\n", 0, "no top-level function of two parameters"),
        ("def f(a):\n    return a\n", 0, "two parameters"),
        ("x" * 70_000, 0, "longer than"),
        ("def f(a, b):\n    return " + "(" * 500 + "1" + ")" * 500, None, ""),
        ("def f(a, b):\n    return " + "+".join(["1"] * 9000), None, ""),
        ("\x00", None, "not Python"),
    ],
)
def test_texts_that_are_no_programs(source: str, line: int | None, reason: str) -> None:
    with pytest.raises(Refusal) as caught:
        lift(source)
    assert reason in caught.value.reason
    assert line is None or caught.value.line == line


def replaceable(node: ast.AST) -> bool:
    loaded = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
    return isinstance(node, ast.expr) and loaded and not isinstance(node, ast.Slice | ast.Starred)


class Mutator(ast.NodeTransformer):
    """Swaps expressions and operators of programs at random."""

    def __init__(self, rng: random.Random, pool: list[ast.expr], rate: float):
        self.rng, self.pool, self.rate = rng, pool, rate

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        loaded = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        if (
            isinstance(node, ast.expr)
            and loaded
            and not isinstance(node, ast.Slice | ast.Starred)
            and self.rng.random() < self.rate
        ):
            return self.rng.choice(self.pool)
        if isinstance(node, ast.BinOp) and self.rng.random() < self.rate * 3:
            node.op = self.rng.choice(
                [ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod, ast.Pow, ast.BitAnd, ast.LShift, ast.MatMult]
            )()
        if isinstance(node, ast.Compare) and self.rng.random() < self.rate * 3:
            node.ops = [self.rng.choice([ast.Lt, ast.Gt, ast.Eq, ast.In, ast.NotIn, ast.Is, ast.NotEq])() for _ in node.ops]
        return node


def test_mutated_programs_never_crash_nor_hang() -> None:
    rng = random.Random(7)
    sources = [source for _, source in CASES.values()]
    pool = [n for s in sources for n in ast.walk(ast.parse(s)) if isinstance(n, ast.expr) and replaceable(n)]
    outcomes = {"lifted": 0, "refused": 0}
    for _ in range(150):
        source = rng.choice(sources)
        if rng.random() < 0.7:
            source = ast.unparse(ast.fix_missing_locations(Mutator(rng, pool, rng.choice([0.005, 0.02])).visit(ast.parse(source))))
        else:
            lines = source.split("\n")
            for _ in range(rng.randint(1, 3)):
                at = rng.randrange(len(lines))
                lines[at : at + 1] = rng.choice([[], [lines[at]] * 2, [lines[at] + rng.choice(")(x0:n[")], [rng.choice(lines)]])
            source = "\n".join(lines)
        started = time.process_time()
        try:
            lift(source)
            outcomes["lifted"] += 1
        except Refusal:
            outcomes["refused"] += 1
        assert time.process_time() - started < 5
    assert min(outcomes.values()) > 10


PARTS = [
    "A[i, j] += 0.5", "A[i, j] = 0.3", "A[i, j] *= 2", "A[i, j] += 1 / (1 + abs(i - j))", "A[i, 0] += 0.1", "A[i, i] += 0.2",
    "seen += 1", "seen = 0", "A[i, j] += 0.1 * seen", "last = j",
]  # fmt: skip
TESTS = [
    "tokens[j] in ('.', ',')", "tokens[j].startswith('▁')", "tokens[i] == tokens[j]", "i - j <= 2", "j > 1", "seen > 1",
    "i % 2 == 0", "len(tokens[j]) > 2 and i != j", "not tokens[j].startswith('▁')",
]  # fmt: skip
RANGES = ["range(i)", "range(i + 1)", "range(n)", "range(i - 1, -1, -1)", "range(max(0, i - 3), i + 1)", "reversed(range(1, i))"]


def random_program(rng: random.Random) -> str:
    """Nested loops with counters, searches, breaks and row fix-ups."""
    lines = [*HEAD.rstrip().split("\n"), "    start = 0"]

    def block(depth: int, indent: str, inner: bool) -> None:
        for _ in range(rng.randint(1, 3)):
            kind = rng.random()
            if kind < 0.5 or depth == 0:
                lines.append(indent + rng.choice(PARTS))
            elif kind < 0.8:
                lines.append(indent + f"if {rng.choice(TESTS)}:")
                block(depth - 1, indent + "    ", inner)
                if rng.random() < 0.4:
                    lines.append(indent + "else:")
                    block(depth - 1, indent + "    ", inner)
            else:
                lines.append(indent + f"if {rng.choice(TESTS)}:")
                lines.append(indent + "    " + rng.choice(PARTS))
                lines.append(indent + "    " + rng.choice(["break", "continue"]))

    lines += ["    for i in range(n):", "        if tokens[i].startswith('▁'):", "            start = i"]
    lines += ["        seen = 0", "        last = None", f"        for j in {rng.choice(RANGES)}:"]
    block(2, "            ", True)
    lines += ["        if last is not None:", "            A[i, last] += 0.4", "        A[i, start] += 0.05 * seen"]
    lines += ["        if A[i].sum() == 0:", "            A[i, i] = 1"]
    lines += ["    A = apply_causal_mask(A)", "    return 'x', make_row_stochastic(A)"]
    return "\n".join(lines)


def test_random_programs_are_lifted_right_or_refused() -> None:
    rng = random.Random(11)
    lifted = 0
    for _ in range(120):
        source = random_program(rng)
        try:
            worst = difference(source, True)
        except Refusal:
            continue
        assert worst <= 1e-6, source
        lifted += 1
    assert lifted > 50
