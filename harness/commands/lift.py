"""`headscript lift FILE…`: turn Python programs into the language, validated against the original in the sandbox."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import output
from harness.commands import _programs

if TYPE_CHECKING:
    from search.validate import LiftRecord


def arguments(parser: ArgumentParser) -> None:
    _programs.arguments(parser)
    parser.add_argument("--no-validate", action="store_true", help="translate only; do not run the originals")


def main(args: Namespace) -> int:
    sources = _programs.sources(args)
    records = _translated(sources) if args.no_validate else _validated(sources, args)
    lifted = sum(r["status"] == "lifted" for r in records)
    if args.json:
        output.document({"files": records, "lifted": lifted, "total": len(records)})
    else:
        for r in records:
            print(_said(r))
        print(f"{lifted} of {len(records)} lifted")
    return 0 if lifted == len(records) else 1


def _translated(sources: list[_programs.Source]) -> list[dict[str, Any]]:
    from search.validate import lift_and_validate

    return [
        _missing(name, reason) if source is None else _record(name, lift_and_validate(source, (), True, None))
        for name, source, reason in sources
    ]


def _validated(sources: list[_programs.Source], args: Namespace) -> list[dict[str, Any]]:
    from sandbox import Sandbox
    from search.validate import lift_and_validate

    texts, causal, odd = _programs.texts_and_odd(args)
    records = []
    with Sandbox() as jail, output.progress("lifting", len(sources)) as update:
        for i, (name, source, reason) in enumerate(sources):
            if source is None:
                records.append(_missing(name, reason))
            else:
                records.append(_record(name, lift_and_validate(source, texts, causal, jail, odd=odd)))
            update(i + 1, Path(name).name)
    return records


def _missing(name: str, reason: str) -> dict[str, Any]:
    """The record of a file that cannot be read."""
    nothing = dict.fromkeys(("line", "max_abs_difference", "seconds_python", "seconds_dsl"))
    return {"file": name, "status": "failed", "program": None, "reason": reason, **nothing}


def _record(name: str, found: LiftRecord) -> dict[str, Any]:
    return {
        "file": name,
        "status": found.status,
        "program": None if found.program is None else str(found.program),
        "reason": found.reason or None,
        "line": found.line,
        "max_abs_difference": found.max_abs_difference,
        "seconds_python": found.seconds_python,
        "seconds_dsl": found.seconds_dsl,
    }


def _said(record: dict[str, Any]) -> str:
    name = Path(record["file"]).name
    if record["status"] != "lifted":
        return f"{name}: {record['status']}: {record['reason']}"
    if record.get("max_abs_difference") is None:
        return f"# {name}: lifted, not validated\n{record['program']}\n"
    python, language = record["seconds_python"], record["seconds_dsl"]
    return (
        f"# {name}: lifted, largest difference {record['max_abs_difference']:.1e}, a text takes {1e3 * python:.1f} ms in Python "
        f"and {1e3 * language:.3f} ms in the language\n{record['program']}\n"
    )
