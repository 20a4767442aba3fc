"""Programs in an answer, however it is wrapped: what is usable is used, what is not is kept with its reason.

Nothing of an answer is run here.
"""

from __future__ import annotations

import ast
import html
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dsl.errors import LanguageError
from dsl.nodes import Concept, Program
from search.llm.code import DEFINITION, RULE, TYPOGRAPHY, has_rules, is_program, json_data, mended, parsed
from search.llm.edits import Edit, applied, bare, hunks, is_diff, replacements
from search.llm.envelopes import blocks, spoken, unmarked

LONGEST = 200_000  # characters of an answer that are looked at
DEEPEST = 3  # answers within JSON within answers
_PYTHON = {"python", "py", "python3", "python2", "ipython", "pycon"}
_PATTERN = {"pattern", "headscript", "dsl", "rules"}
_REFUSES = re.compile(r"(?i)\b(I['’]?m sorry|I am sorry|I can['’]?t|I cannot|I am unable|I['’]?m unable|as an AI|not able to)\b")
_THOUGHTS = re.compile(
    r"(?i)(redacted_)?(think|thinking|thoughts?|reasoning|reasoning_content|analysis|scratchpad)"
)  # keys of JSON
_TAKEN_BACK = re.compile(
    r"(?i)\b(wait|oops|scratch that|correct(ed|ion)|revised|let me (fix|correct|rewrite)|final (version|program|answer)"
    r"|no, better|fixed version)\b"
)
_CODE = re.compile(r"\s*(def\s+\w+\s*\(|import\s+\w|from\s+\w+\s+import\b|\w+\s*=\s)")
_DRAFT = re.compile(r"(?i)\b(draft|first (attempt|try)|sketch)\b[^\n]*\s*$")
_NO_BASE = "an edit of a program that is not known: send the whole program"


@dataclass(frozen=True)
class Candidate:
    """One program of an answer. problem is None where it can be tried; `mendable` problems are worth sending back."""

    form: str  # python or language
    source: str
    program: Program | None = None  # of the language form
    problem: str | None = None
    line: int | None = None  # of the source, from 1
    mendable: bool = False


def read_answer(text: str, cut_off: bool = False, bases: Sequence[str] = ()) -> list[Candidate]:
    """At least one candidate: programs in their order, or one without source that says why there is none.

    cut_off: the provider stopped at the token limit. bases: programs that an edit (a diff, SEARCH and REPLACE) may be of, the
    likeliest first; those of the answer itself come before them. Reasoning is left out, unless there is nothing else: then its last
    whole program is the candidate.
    """
    text = text[:LONGEST].replace("\r\n", "\n").replace("\r", "\n").strip("\ufeff \n")
    if _is_page(text):
        return [Candidate("python", "", problem="an HTML page instead of a program")]
    answer, reasoning = spoken(text)
    found = _read(answer, cut_off, bases, 0)
    if not found:
        found = [c for c in _read(reasoning, cut_off, bases, 0) if c.problem is None][-1:]
    if found:
        unique = {(c.form, c.source): c for c in reversed(found)}
        return [c for c in found if unique.get((c.form, c.source)) is c]
    if not answer.strip():
        return [Candidate("python", "", problem="the answer was cut off before any program" if cut_off else "empty answer")]
    reason = "a refusal instead of a program" if _REFUSES.search(answer) else "no program in the answer"
    return [Candidate("python", "", problem=reason)]


def _read(text: str, cut_off: bool, bases: Sequence[str], depth: int) -> list[Candidate]:
    """The programs of a text without reasoning."""
    strings = _strings(text) if depth < DEEPEST else None
    if strings is not None:
        return [c for s in strings for c in _read(spoken(s)[0], cut_off, bases, depth + 1)]
    edits, text = replacements(text)
    found: list[Candidate] = []
    before = ""  # the prose since the last block
    at = 0
    parts = blocks(text)
    for block in parts:
        before, at = text[at : block.start], block.end
        if is_diff(block.label, block.body):
            edits += hunks(block.body)
            continue
        inner = _strings(block.body) if depth < DEEPEST else None
        if inner is not None:
            read = [c for s in inner for c in _read(spoken(s)[0], cut_off, bases, depth + 1)]
        else:
            read = _read_block(block.label, block.body, cut_off or not block.closed)
        if read and (_TAKEN_BACK.search(before) or (len(found) == 1 and _DRAFT.search(text[: parts[0].start]))):
            found = [c for c in found if c.form != read[0].form or c.problem is not None]
        found += read
    if not found and not edits:
        found = _read_loose(unmarked(text), cut_off, edits)
    if edits:
        found = _edited(found, edits, cut_off, bases)
    return _shared_helpers(found)


def _edited(found: Sequence[Candidate], edits: Sequence[Edit], cut_off: bool, bases: Sequence[str]) -> list[Candidate]:
    """The candidates, the one that the edits are of replaced by what they make of it."""
    own = [c.source for c in reversed(found)]
    made = applied(edits, [*own, *bases])
    if made is None:
        alone = bare(edits)
        return [*found, *(_read_block("", alone, cut_off) if is_program(alone) else [])] or [
            Candidate("python", alone, problem=_NO_BASE, mendable=True)
        ]
    text, base = made
    return [*(c for c in found if c.source != base), *_read_block("", text, cut_off)]


def _strings(text: str) -> list[str] | None:
    """Of a text in JSON, the strings in it, thoughts aside; None for any other text. Lines in a list are one string."""
    data = json_data(text)
    if data is None:
        return None
    strings: list[str] = []
    todo = [data]
    while todo:
        here = todo.pop(0)
        if isinstance(here, str):
            strings.append(here)
        elif isinstance(here, dict):
            if not _THOUGHTS.fullmatch(str(here.get("type", ""))):
                todo = [*(v for k, v in here.items() if not _THOUGHTS.fullmatch(k)), *todo]
        elif isinstance(here, list):
            lines = len(here) > 1 and all(isinstance(s, str) and "\n" not in s.rstrip("\n") for s in here)
            todo = ["\n".join(s.rstrip("\n") for s in here), *todo] if lines else [*here, *todo]
    return strings


def _is_page(text: str) -> bool:
    return text.lstrip().lower().startswith(("<!doctype", "<html", "<?xml")) and "def " not in text


def _read_block(label: str, body: str, cut_off: bool) -> list[Candidate]:
    if not body.strip():
        return []
    if DEFINITION.search(body):  # labels are often wrong
        return _python(body, cut_off)
    if label in _PATTERN or has_rules(body):
        return [read_language(body)]
    return _python(body, cut_off) if label in _PYTHON else []  # a listing, a shell command, an example of the output


def _read_loose(text: str, cut_off: bool, edits: list[Edit]) -> list[Candidate]:
    """An answer without usable fences: prose with code in it, or a diff, whose hunks join the edits."""
    if diff := re.search(r"^(--- \S+[^\n]*\n\+\+\+ |@@ |diff --git )", text, re.M):
        edits += hunks(re.split(r"^(?![-+ @\\]|diff |index |$)", text[diff.start() :], maxsplit=1, flags=re.M)[0])
        return []
    if DEFINITION.search(text):
        lines = text.split("\n")
        start = next(
            i for i, line in enumerate(lines) if re.match(r"\s*(def\s+\w+\s*\(|import\s+\w|from\s+\w+\s+import\b|\w+\s*=\s)", line)
        )
        return _python("\n".join(lines[start:]), cut_off)
    lines = text.split("\n")
    rules = [i for i, line in enumerate(lines) if RULE.match(line) and not line.lstrip().startswith("#")]
    if not rules:
        return []
    candidate = read_language("\n".join(lines[rules[0] : rules[-1] + 1]))
    # "Set your expectations …" is prose, not a broken program
    return [candidate] if candidate.program is not None or len(rules) > 1 else []


def read_language(body: str, concepts: Mapping[str, Concept] | None = None) -> Candidate:
    """A text that is meant to be one program of the language; concepts: those that it may use without defining them."""
    from dsl.parser import parse

    source = textwrap.dedent(body.expandtabs(4)).strip("\n")
    first: LanguageError | None = None
    for attempt in (source, html.unescape(source), source.translate(TYPOGRAPHY)):
        try:
            program = parse(attempt, concepts or {})
        except LanguageError as e:
            first = first or e
            continue
        except RecursionError:
            return Candidate("language", source, problem="nested too deeply")
        if not program.statements:
            return Candidate("language", source, problem="no rule in it")
        return Candidate("language", attempt, program)
    assert first is not None
    return Candidate("language", source, problem=f"syntax: {first.message}", line=first.line or None, mendable=True)


def _python(body: str, cut_off: bool) -> list[Candidate]:
    """Every program among the top-level functions, each with the imports, constants and helpers that stand beside it."""
    source = mended(body)
    tree = parsed(source)
    if isinstance(tree, ast.Module):
        return _programs(source, tree, cut_off) or [_no_function(source, tree)]
    pieces = _whole_pieces(source)
    kept = "\n".join(piece for piece, whole in pieces if whole)
    whole = parsed(kept)
    found = _programs(kept, whole, False) if isinstance(whole, ast.Module) else []
    broken = [piece for piece, whole in pieces if not whole and DEFINITION.match(piece)]
    for piece in broken:
        error = parsed(piece)
        assert not isinstance(error, ast.Module)
        last = piece is pieces[-1][0]
        if last and (cut_off or _breaks_at_end(piece, *error)):
            found.append(Candidate("python", piece, problem=_CUT_OFF, line=piece.count("\n") + 1, mendable=True))
        else:
            found.append(Candidate("python", piece, problem=f"syntax: {error[0]}", line=error[1], mendable=True))
    return found or [Candidate("python", source, problem=f"syntax: {tree[0]}", line=tree[1], mendable=True)]


_CUT_OFF = "the code is cut off"


def _whole_pieces(source: str) -> list[tuple[str, bool]]:
    """The source cut before every line that begins at the margin, each piece with whether it is code; prose is not."""
    lines = source.split("\n")
    starts = [0]
    for i, line in enumerate(lines[1:], 1):
        if line and not line[0].isspace() and line[0] not in ")]}#" and not lines[i - 1].startswith("@"):
            starts.append(i)
    pieces = ["\n".join(lines[a:b]) for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    return [(piece, isinstance(tree := parsed(piece), ast.Module) and _is_code(tree)) for piece in pieces]


def _is_code(tree: ast.Module) -> bool:
    """False for prose that happens to be Python, such as a single word."""
    return all(not isinstance(s, ast.Expr) or isinstance(s.value, ast.Call | ast.Constant) for s in tree.body)


def _returns(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Return) and node.value is not None for node in ast.walk(function))


def _breaks_at_end(piece: str, problem: str, line: int) -> bool:
    return line > piece.rstrip().count("\n") or "was never closed" in problem or "unterminated" in problem


def _programs(source: str, tree: ast.Module, cut_off: bool) -> list[Candidate]:
    functions = [s for s in tree.body if isinstance(s, ast.FunctionDef)]
    called = {name for f in functions for name in _called(f) if name != f.name}
    takers = [f for f in functions if _arity(f) == 2]
    last = {f.name: f for f in takers}  # of a function defined twice the last definition counts
    programs = [f for f in takers if f.name not in called and last[f.name] is f] or takers[-1:]  # a helper may well take two
    found = []
    for chosen in programs:
        others = [s for s in tree.body if s not in programs and not _demonstrates(s) and getattr(s, "name", "") != chosen.name]
        parts = [ast.get_source_segment(source, s) or ast.unparse(s) for s in (*others, chosen)]
        complete = tree.body[-1] is chosen and len(parts) == len(tree.body)  # keep comments and line numbers where possible
        text = (source if complete else "\n\n".join(parts)) + "\n"
        if _returns(chosen):
            found.append(Candidate("python", text))
            continue
        problem = _CUT_OFF if cut_off and tree.body[-1] is chosen else f"function {chosen.name!r} returns nothing"
        found.append(Candidate("python", text, problem=problem, line=text.rstrip().count("\n") + 1, mendable=True))
    return found


def _demonstrates(s: ast.stmt) -> bool:
    """Not part of a program: a docstring, a call at the top level, `if __name__ == …`."""
    return isinstance(s, ast.Expr) or (isinstance(s, ast.If) and "__name__" in ast.unparse(s.test))


def _called(function: ast.FunctionDef) -> set[str]:
    calls = (n.func for n in ast.walk(function) if isinstance(n, ast.Call))
    return {f.id for f in calls if isinstance(f, ast.Name)}


def _arity(function: ast.FunctionDef) -> int:
    a = function.args
    required = len(a.posonlyargs) + len(a.args) - len(a.defaults)
    return 2 if required <= 2 <= len(a.posonlyargs) + len(a.args) else required


def _no_function(source: str, tree: ast.Module) -> Candidate:
    functions = [s for s in tree.body if isinstance(s, ast.FunctionDef)]
    if not functions:
        return Candidate("python", source, problem="no function in the code", line=1, mendable=True)
    last = functions[-1]
    problem = f"function {last.name!r} takes {_arity(last)} arguments, not (sentence, tokenizer)"
    return Candidate("python", source, problem=problem, line=last.lineno, mendable=True)


def _shared_helpers(found: Sequence[Candidate]) -> list[Candidate]:
    """Helpers that stand in a block of their own, put before the programs that call them."""
    helpers: dict[str, str] = {}
    for c in found:
        tree = parsed(c.source)
        if c.form == "python" and c.problem is not None and isinstance(tree, ast.Module):
            for s in tree.body:
                if isinstance(s, ast.FunctionDef) and _arity(s) != 2:
                    helpers[s.name] = c.source
    if not helpers:
        return list(found)
    result: list[Candidate] = []
    used: set[str] = set()
    for c in found:
        if c.problem is None and c.form == "python":
            names = {n.id for n in ast.walk(ast.parse(c.source)) if isinstance(n, ast.Name)}
            wanted = {s for name, s in helpers.items() if name in names and f"def {name}(" not in c.source}
            used |= wanted
            c = replace(c, source="\n\n".join([*sorted(wanted), c.source]))
        result.append(c)
    return [c for c in result if c.source not in used]
