"""`headscript check FILE…`: parse and check programs in the language; print the canonical form."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from harness import output
from harness.errors import UserError


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a program in the language")


def main(args: Namespace) -> int:
    records = [check_file(Path(name)) for name in args.files]
    if args.json:
        output.document({"files": records})
    else:
        for r in records:
            if r["ok"]:
                print(f"# {r['file']}: {output.plural(r['rules'], 'rule')}, size {r['size']}")
                print(r["program"])
                print(*(f"#   {sentence}" for sentence in r["english"]), sep="\n")
            for error in r.get("errors", ()):
                output.note(f"{r['file']}: {error['said']}")
    return 0 if all(r["ok"] for r in records) else 1


def check_file(path: Path) -> dict[str, Any]:
    """The record of one file: ok, canonical program, English, rules, size; or all that is wrong with it.

    reason, line and column are those of the first error; a file that cannot be read has one error at line 0.
    """
    from dsl import english, parse, simplify, size
    from dsl.diagnose import faults

    try:
        source = read(path)
    except UserError as error:
        reason = str(error).removeprefix(f"{path}: ")
        errors = [{"line": 0, "column": 0, "message": reason, "said": reason}]
    else:
        found = faults(source)
        errors = [{"line": e.line, "column": e.column, "message": e.message, "said": str(e)} for e in found]
    if errors:
        first = errors[0]
        place = {"line": first["line"], "column": first["column"]}
        return {"file": str(path), "ok": False, "reason": first["said"], **place, "errors": errors}
    program = simplify(parse(source))
    return {
        "file": str(path),
        "ok": True,
        "program": str(program),
        "english": english(program),
        "rules": len(program.rules()),
        "size": size(program),
    }


def read(path: Path) -> str:
    """A text file in UTF-8. Raises UserError, one line."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
