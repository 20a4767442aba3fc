"""docs/language.md: every word of the language with an example and what it gives there, edges, and heads, all computed.

    python bench/language.py --write docs/language.md    # fills the parts between <!-- NAME --> and <!-- end -->; the rest is prose

Words come from dsl/vocabulary.py and dsl/classes.py with their meanings; what is not found there (an example for a word of more
than one argument, questions about edges, the heads) stands in bench/language_examples.py. Values are the evaluator's.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.language_examples import (
    CODE,
    EDGES,
    EXAMPLES,
    HEADS,
    STATEMENTS,
    STEPS,
    STORY,
    SYNTAX,
    WEIGHTS,
    WORDS,
    Edge,
    WorkedHead,
)
from dsl import Batch, english, evaluate, parse, parse_expression, size
from dsl.batch import MISSING
from dsl.check import sort_of
from dsl.evaluator import weights_of
from dsl.nodes import Expr, Name, Program, free_names
from dsl.text import Text, plain_text
from dsl.values import State
from dsl.vocabulary import VOCABULARY, Primitive

MOST = 6  # tokens that are listed
GROUPS = {
    "position": "Of a position",
    "text": "Of a token's text",
    "pair": "Of two positions",
    "number": "Of numbers",
    "cell": "Of what may be missing, and of other cells",
    "word": "Of an annotated word",
    "range": "Annotated words to range over",
}
SAID = {"number": "x", "text": "s", "word": "w", "guard": "g", "words": "w"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="FILE", type=Path, help="the page to bring up to date (default: print the parts)")
    args = parser.parse_args()
    if args.write is None:
        print("\n\n".join(parts().values()))
    else:
        args.write.write_text(filled(args.write.read_text(encoding="utf-8")), encoding="utf-8")


def filled(page: str) -> str:
    """The page with every part between its marks. Raises KeyError for marks of a part that there is not."""
    made = parts()
    missing = [name for name in made if f"<!-- {name} -->" not in page]
    if missing:
        raise SystemExit(f"the page has no place for: {', '.join(missing)}")
    return re.sub(
        r"<!-- (\w+) -->\n(?:(?!<!-- ).)*<!-- end -->",
        lambda m: f"<!-- {m[1]} -->\n\n{made[m[1]]}\n\n<!-- end -->",
        page,
        flags=re.DOTALL,
    )


def parts() -> dict[str, str]:
    """The generated parts by name."""
    return {
        "texts": "\n\n".join(f"{name}: {' '.join(map(shown_token, text.tokens))}" for name, text in TEXTS.items()),
        "steps": table(("after", "the row of d"), _steps()),
        "statements": table(("word", "means", "example", "the last row of “a b c d”"), map(_statement, STATEMENTS)),
        "syntax": table(("word", "means", "example", "gives"), map(_syntax, SYNTAX)),
        "vocabulary": "\n\n".join(_group(domain, title) for domain, title in GROUPS.items()),
        "edges": table(("question", "answer", "written", "at"), map(_edge, EDGES)),
        "weights": table(("question", "program", "row of the last query of “a b c d”"), map(_weights, WEIGHTS)),
        "heads": "\n\n".join(_head(i, h) for i, h in enumerate(HEADS, 1)),
    }


TEXTS: dict[str, Text] = {"The story": STORY, "The code": CODE, "The annotated sentence": WORDS}
SHORT = ("a", " b", " c", " d")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in (header, ["---"] * len(header), *rows))


def signature(p: Primitive) -> str:
    """How a primitive is called: slice(s, x, [x])."""
    at = [f"[{SAID[s]}]" if i >= len(p.params) - p.optional else SAID[s] for i, s in enumerate(p.params)]
    return f"{p.name}({', '.join(at)}{', …' if p.variadic else ''})"


def example(p: Primitive) -> str:
    """The example of a primitive: the one that is written down, or the plainest call."""
    return EXAMPLES.get(p.name, f"{p.name}({', '.join('k' for _ in p.params[: len(p.params) - p.optional])})")


def _group(domain: str, title: str) -> str:
    rows = (
        (f"`{signature(p)}`", p.meaning.replace("<", "&lt;"), f"`{example(p)}`", gives(example(p)))
        for p in VOCABULARY.values()
        if p.domain == domain
    )
    return f"### {title}\n\n{table(('word', 'means', 'example', 'gives'), rows)}"


def text_of(expression: Expr) -> list[Text]:
    """The texts that an expression is shown on: the annotated sentence where it asks for words."""
    needs = any(
        p is not None and (p.domain in ("word", "range") or "word" in (*p.params, p.result))
        for p in (VOCABULARY.get(name) for name in re.findall(r"\w+", str(expression)))
    )
    return [WORDS] if needs or "aligned" in str(expression) else [STORY, CODE]


def gives(source: str) -> str:
    """What an expression of k (or of q and k, for the last query) gives on the example texts, as one reads it in a table."""
    expression = parse_expression(source)
    sort = sort_of(expression)
    found: list[tuple[str, Any]] = []
    for text in text_of(expression):
        values = values_of(expression, text)
        row = values[len(text) - 1]
        found += [(shown_token(t), v) for t, v in zip(text.tokens, row, strict=True)]
    if not {"q", "k"} & free_names(expression):
        return shown(found[0][1])
    if sort == "guard":
        return "true of " + _few(t for t, v in found if v) if any(v for _, v in found) else "true of none"
    if isinstance(expression, Name):
        return ", ".join(shown(v) for _, v in found[:MOST]) + ", …"
    different: dict[str, str] = {}
    changed = [(token, v) for token, v in found if shown(v) != token]  # what a word does shows where it does something
    for token, v in changed or found:
        if shown(v) not in different.values():
            different.setdefault(token, shown(v))
    return "; ".join(f"{t} → {v}" for t, v in [*different.items()][:3])


def _few(tokens: Iterable[str]) -> str:
    each = list(dict.fromkeys(tokens))
    return " ".join(each[:MOST]) + (" …" if len(each) > MOST else "")


def values_of(expression: Expr, text: Text) -> list[list[Any]]:
    """[query][key]: bool, float, str or None for a missing value, as the evaluator has them."""
    batch = Batch([text], causal=True)
    sort = sort_of(expression)
    n = len(text)
    with np.errstate(all="ignore"):
        array = np.broadcast_to(State(batch, np.zeros((1, n, n))).value(expression), (1, n, n))[0]
    if sort == "guard":
        return array.astype(bool).tolist()
    if sort == "number":
        return [[None if x != x else float(x) for x in row] for row in array]
    if sort == "word":
        return [[None if w == MISSING else text.words[int(w)].text for w in row] for row in array]
    return [[None if c == MISSING else batch.strings[int(c)] for c in row] for row in array]


def edge_value(edge: Edge) -> Any:
    """The value of an edge's expression at its query and key, by the evaluator."""
    return values_of(parse_expression(edge.written), edge.text)[edge.q][edge.k]


def weights_row(source: str) -> list[float]:
    """The attention of the last query of “a b c d” under a program."""
    row: list[float] = evaluate(parse(source), Batch([plain_text(SHORT)], causal=True))[0, -1].tolist()
    return row


def shown(v: Any) -> str:
    """A value as the page has it."""
    if v is None:
        return "missing"
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, str):
        return shown_token(v)
    return f"{v:.3g}"


def shown_token(token: str) -> str:
    """A token in quotes, with its line breaks as they are written in a program."""
    escaped = token.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'`"{escaped}"`' if "`" not in token else f'`` "{escaped}" ``'


def shown_row(row: Iterable[float]) -> str:
    return ", ".join(f"{v:.3g}" for v in row)


def _steps() -> list[tuple[str, str]]:
    """The last row of “a b c d” after each rule of the first example, and at the end."""
    batch = Batch([plain_text(SHORT)], causal=True)
    program = parse(STEPS)
    rows = [("nothing", shown_row([0.0] * len(SHORT)))]
    for i, statement in enumerate(program.statements, 1):
        rows.append((f"`{statement}`", shown_row(weights_of(Program(program.statements[:i]), batch)[0, -1])))
    return [*rows, ("division by its sum", shown_row(weights_row(STEPS)))]


def _statement(entry: tuple[str, str, str]) -> tuple[str, ...]:
    word, means, program = entry
    return f"`{word}`", means, f"`{program}`", shown_row(weights_row(program))


def _syntax(entry: tuple[str, str, str]) -> tuple[str, ...]:
    word, means, written = entry
    return f"`{word}`", means, f"`{written}`", gives(written)


def _edge(edge: Edge) -> tuple[str, ...]:
    at = f"q = {edge.q}, k = {edge.k}" if "q" in free_names(parse_expression(edge.written)) else f"k = {edge.k}"
    where = {id(STORY): "", id(CODE): " of the code", id(WORDS): " of the annotated sentence"}[id(edge.text)]
    return edge.question, shown(edge_value(edge)), f"`{edge.written}`", at + where


def _weights(entry: tuple[str, str]) -> tuple[str, ...]:
    question, program = entry
    row = weights_row(program)
    return question, f"`{program}`" if program else "(nothing)", shown_row(row)


def _head(number: int, head: WorkedHead) -> str:
    program = parse(head.program)
    pattern = evaluate(program, Batch([head.text], causal=True))[0]
    rows = []
    for q in head.queries:
        order = np.argsort(-pattern[q], kind="stable")[:4]
        keys = ", ".join(f"{shown_token(head.text.tokens[k])} ({k}) {pattern[q, k]:.2f}" for k in order if pattern[q, k] >= 0.005)
        rows.append((f"{shown_token(head.text.tokens[q])} ({q})", keys))
    said = "\n".join(f"{i}. {s}" for i, s in enumerate(english(program), 1))
    return (
        f"### {number}. {head.title}\n\n```pattern\n{head.program.strip()}\n```\n\nSize {size(program)}. In English:\n\n{said}\n\n"
        f"{head.told}\n\n{table(('from', 'looks most at'), rows)}"
    )


if __name__ == "__main__":
    main()
