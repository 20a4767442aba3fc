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
    from dsl import english

    records = [check_file(Path(name)) for name in args.files]
    if args.json:
        output.document({"files": [{k: v for k, v in r.items() if k != "parsed"} for r in records]})
    else:
        for r in records:
            if r["ok"]:
                print(f"# {r['file']}: {r['rules']} rules, size {r['size']}")
                print(r["program"])
                print(*(f"#   {sentence}" for sentence in english(r["parsed"])), sep="\n")
            else:
                output.note(f"{r['file']}: {r['reason']}")
    return 0 if all(r["ok"] for r in records) else 1


def check_file(path: Path) -> dict[str, Any]:
    """The record of one file: ok, canonical program, rules, size; or line, column and reason."""
    from dsl import LanguageError, parse, simplify, size

    try:
        program = simplify(parse(read(path)))
    except LanguageError as error:
        return {"file": str(path), "ok": False, "reason": str(error), "line": error.line, "column": error.column}
    return {
        "file": str(path),
        "ok": True,
        "program": str(program),
        "rules": len(program.rules()),
        "size": size(program),
        "parsed": program,
    }


def read(path: Path) -> str:
    """A text file in UTF-8. Raises UserError, one line."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
