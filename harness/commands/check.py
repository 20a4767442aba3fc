"""`headscript check FILE…`: parse and check programs in the language; print the canonical form."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import output
from harness.concepts import concepts_option, read_concepts
from harness.errors import UserError

if TYPE_CHECKING:
    from dsl.concepts import Concepts


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a program in the language, or a file of concepts")
    concepts_option(parser, "the programs may use them")


def main(args: Namespace) -> int:
    concepts = read_concepts(args.concepts)
    records = [check_file(Path(name), concepts) for name in args.files]
    if args.json:
        output.document({"files": records})
    else:
        for r in records:
            if r["ok"]:
                count = f", {output.plural(len(r['concepts']), 'concept')}" if r["concepts"] else ""
                print(f"# {r['file']}: {output.plural(r['rules'], 'rule')}, size {r['size']}{count}")
                print(r["program"] or "\n".join(c["definition"] for c in r["concepts"]))
                print(*(f"#   {sentence}" for sentence in [*(c["english"] for c in r["concepts"]), *r["english"]]), sep="\n")
            for error in r.get("errors", ()):
                output.note(f"{r['file']}: {error['said']}")
    return 0 if all(r["ok"] for r in records) else 1


def check_file(path: Path, concepts: Concepts | None = None) -> dict[str, Any]:
    """The record of one file: ok, canonical program, English, rules, size, the concepts that it defines or uses; or all that is
    wrong with it.

    reason, line and column are those of the first error; a file that cannot be read has one error at line 0.
    """
    from dsl import english, simplify, size
    from dsl.diagnose import faults
    from dsl.parser import parse_with_concepts
    from dsl.sentences import definition

    try:
        source = read(path)
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ")
        errors = [{"line": 0, "column": 0, "message": reason, "said": reason}]
    else:
        found = faults(source, concepts or {})
        errors = [{"line": e.line, "column": e.column, "message": e.message, "said": str(e)} for e in found]
    if errors:
        first = errors[0]
        place = {"line": first["line"], "column": first["column"]}
        return {"file": str(path), "ok": False, "reason": first["said"], **place, "errors": errors}
    written, own = parse_with_concepts(source, concepts or {})
    program = simplify(written)
    used = {c.name for c in program.concepts}
    shown = [*program.concepts, *(c for c in own.values() if c.name not in used)]
    return {
        "file": str(path),
        "ok": True,
        "program": str(program),
        "english": english(program),
        "rules": len(program.rules()),
        "size": size(program),
        "concepts": [
            {"name": c.name, "definition": str(c), "english": definition(c), "size": size(c), "used": c.name in used} for c in shown
        ],
    }


def read(path: Path) -> str:
    """A text file in UTF-8. Raises UserError, one line."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
