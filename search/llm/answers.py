"""Programs in an answer, however it is wrapped: what is usable is used, what is not is kept with its reason.

Nothing of an answer is run here.
"""

from __future__ import annotations

import ast
import html
import json
import re
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dsl.errors import LanguageError
from dsl.nodes import OPERATIONS, Program

LONGEST = 200_000  # characters of an answer that are looked at
_FENCE = re.compile(r"^[ \t>]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<label>[\w+#.-]*)[^\n]*$", re.M)
_THINKING = re.compile(r"<(think|thinking|reasoning)>.*?(</\1>|\Z)", re.S | re.I)
_PYTHON = {"python", "py", "python3", "python2", "ipython", "pycon"}
_PATTERN = {"pattern", "headscript", "dsl", "rules"}
_RULE = re.compile(rf"^\s*(when\b|let\s+\w+\s*=|normalize\b|(?:{'|'.join(OPERATIONS)})\s+[\w(.\"-]|\}}|#)")
_DEF = re.compile(r"^\s*def\s+\w+\s*\(", re.M)
_REFUSES = re.compile(r"(?i)\b(I['’]?m sorry|I am sorry|I can['’]?t|I cannot|I am unable|I['’]?m unable|as an AI|not able to)\b")
_TYPOGRAPHY = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "‚": "'", "–": "-", "−": "-", "\u00a0": " ", "\u2009": " ", "\u202f": " ",
     "\u200b": None, "\ufeff": None, "…": "..."}
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """One program of an answer. problem is None where it can be tried; `mendable` problems are worth sending back."""

    form: str  # python or language
    source: str
    program: Program | None = None  # of the language form
    problem: str | None = None
    line: int | None = None  # of the source, from 1
    mendable: bool = False


def read_answer(text: str, cut_off: bool = False) -> list[Candidate]:
    """At least one candidate: programs in their order, or one without source that says why there is none.

    cut_off: the provider stopped at the token limit.
    """
    text = _THINKING.sub("", text[:LONGEST].replace("\r\n", "\n").replace("\r", "\n")).strip("\ufeff \n")
    if not text.strip():
        return [Candidate("python", "", problem="the answer was cut off before any program" if cut_off else "empty answer")]
    if _is_page(text):
        return [Candidate("python", "", problem="an HTML page instead of a program")]
    text = _unwrapped(text)
    blocks = _blocks(text)
    found: list[Candidate] = []
    for label, body, closed in blocks:
        found += _read_block(label, body, cut_off or not closed)
    if not found:
        found = _read_loose(text, cut_off)
    found = _shared_helpers(found)
    if not found:
        reason = "a refusal instead of a program" if _REFUSES.search(text) else "no program in the answer"
        return [Candidate("python", "", problem=reason)]
    unique = {(c.form, c.source): c for c in reversed(found)}
    return [c for c in found if unique.get((c.form, c.source)) is c]


def _unwrapped(text: str) -> str:
    """Of an answer in JSON, the strings that hold code, each as a block; any other answer as it is."""
    if not text.startswith(("{", "[")):
        return text
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    strings: list[str] = []
    todo = [data]
    while todo:
        here = todo.pop(0)
        if isinstance(here, str):
            strings.append(here)
        elif isinstance(here, dict | list):
            todo = [*(here.values() if isinstance(here, dict) else here), *todo]
    return "\n".join(s if _FENCE.search(s) else f"```\n{s}\n```" for s in strings)


def _is_page(text: str) -> bool:
    return text.lstrip().lower().startswith(("<!doctype", "<html", "<?xml")) and "def " not in text


def _blocks(text: str) -> list[tuple[str, str, bool]]:
    """Fenced blocks: label, body, and whether the closing fence was there."""
    blocks, at = [], 0
    while opening := _FENCE.search(text, at):
        fence = opening["fence"]
        closing = re.compile(rf"^[ \t>]*{re.escape(fence[0])}{{{len(fence)},}}[ \t]*$", re.M).search(text, opening.end())
        end = closing.start() if closing else len(text)
        body = text[opening.end() : end].strip("\n")
        if opening[0].lstrip().startswith(">"):  # a quotation
            body = re.sub(r"^[ \t]*> ?", "", body, flags=re.M)
        blocks.append((opening["label"].lower(), body, closing is not None))
        at = closing.end() if closing else len(text)
    return blocks


def _read_block(label: str, body: str, cut_off: bool) -> list[Candidate]:
    if not body.strip():
        return []
    if _DEF.search(body):  # labels are often wrong
        return _python(body, cut_off)
    if label in _PATTERN:
        return [_language(body)]
    rules = [line for line in body.splitlines() if line.strip()]
    if sum(bool(_RULE.match(line)) for line in rules) * 2 > len(rules):
        return [_language(body)]
    return _python(body, cut_off) if label in _PYTHON else []  # a listing, a shell command, an example of the output


def _read_loose(text: str, cut_off: bool) -> list[Candidate]:
    """An answer without usable fences: prose with code in it."""
    if "&lt;" in text or "&gt;" in text or re.search(r"<(pre|code|p|br)\b", text):
        text = html.unescape(re.sub(r"</?(pre|code|p|div|span|br|body|html)\b[^>]*>", "\n", text))
    if _DEF.search(text):
        lines = text.split("\n")
        start = next(i for i, line in enumerate(lines) if re.match(r"\s*(def\s+\w+\s*\(|import\s+\w|from\s+\w+\s+import\b)", line))
        return _python("\n".join(lines[start:]), cut_off)
    lines = text.split("\n")
    rules = [i for i, line in enumerate(lines) if _RULE.match(line) and not line.lstrip().startswith("#")]
    if not rules:
        return []
    candidate = _language("\n".join(lines[rules[0] : rules[-1] + 1]))
    # "Set your expectations …" is prose, not a broken program
    return [candidate] if candidate.program is not None or len(rules) > 1 else []


def _language(body: str) -> Candidate:
    from dsl.parser import parse

    source = textwrap.dedent(body.expandtabs(4)).strip("\n")
    first: LanguageError | None = None
    for attempt in (source, html.unescape(source), source.translate(_TYPOGRAPHY)):
        try:
            program = parse(attempt)
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
    source = _mended(body)
    tree = _parsed(source)
    if isinstance(tree, ast.Module):
        return _programs(source, tree, cut_off) or [_no_function(source, tree)]
    pieces = _whole_pieces(source)
    kept = "\n".join(piece for piece, whole in pieces if whole)
    whole = _parsed(kept)
    found = _programs(kept, whole, False) if isinstance(whole, ast.Module) else []
    broken = [piece for piece, whole in pieces if not whole and _DEF.match(piece)]
    for piece in broken:
        error = _parsed(piece)
        assert not isinstance(error, ast.Module)
        last = piece is pieces[-1][0]
        if last and (cut_off or _breaks_at_end(piece, *error)):
            found.append(Candidate("python", piece, problem=_CUT_OFF, line=piece.count("\n") + 1, mendable=True))
        else:
            found.append(Candidate("python", piece, problem=f"syntax: {error[0]}", line=error[1], mendable=True))
    return found or [Candidate("python", source, problem=f"syntax: {tree[0]}", line=tree[1], mendable=True)]


_CUT_OFF = "the code is cut off"


def _mended(body: str) -> str:
    """The code without what only its wrapping put there: tabs, indentation of the whole, prompts, entities, typographic quotes."""
    plain = ""
    for width in (4, 8):
        lines = body.expandtabs(width).split("\n")
        if sum(line.startswith((">>> ", "... ")) for line in lines) * 2 > len(lines):
            lines = [line[4:] for line in lines if line.startswith((">>>", "..."))]
        source = textwrap.dedent("\n".join(lines)).strip("\n")
        plain = plain or source
        unescaped = html.unescape(source)
        for attempt in (source, unescaped, source.translate(_TYPOGRAPHY), unescaped.translate(_TYPOGRAPHY)):
            if isinstance(_parsed(attempt), ast.Module):
                return attempt
        if "\t" not in body:
            break
    return plain


def _parsed(source: str) -> ast.Module | tuple[str, int]:
    """The syntax tree, or what is wrong and in which line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in strings are no reason to print anything
            return ast.parse(source)
    except SyntaxError as e:
        return (e.msg or "invalid syntax", min(e.lineno or 1, source.count("\n") + 1))
    except (ValueError, RecursionError, MemoryError) as e:
        return (str(e) or type(e).__name__, 1)


def _whole_pieces(source: str) -> list[tuple[str, bool]]:
    """The source cut before every line that begins at the margin, each piece with whether it is code; prose is not."""
    lines = source.split("\n")
    starts = [0]
    for i, line in enumerate(lines[1:], 1):
        if line and not line[0].isspace() and line[0] not in ")]}#" and not lines[i - 1].startswith("@"):
            starts.append(i)
    pieces = ["\n".join(lines[a:b]) for a, b in zip(starts, [*starts[1:], len(lines)], strict=True)]
    return [(piece, isinstance(tree := _parsed(piece), ast.Module) and _is_code(tree)) for piece in pieces]


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
    programs = [f for f in takers if f.name not in called] or takers[-1:]  # a helper may well take two
    found = []
    for chosen in programs:
        others = [s for s in tree.body if s not in programs and not _demonstrates(s)]
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
        tree = _parsed(c.source)
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
