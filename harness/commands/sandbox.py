"""`headscript sandbox FILE…`: run Python programs in the jail and say how each ended."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from harness import output
from harness.cli import positive
from harness.commands import _programs

TEXTS = 5


def arguments(parser: ArgumentParser) -> None:
    _programs.arguments(parser)
    parser.add_argument("--time", type=positive(float), default=10.0, help="seconds for a program on all its texts (default: 10)")
    parser.add_argument("--memory", type=positive(), default=512, help="megabytes for a program (default: 512)")
    parser.add_argument("--allow-weak", action="store_true", help="run even where the kernel gives no protection")


def main(args: Namespace) -> int:
    from sandbox import Limits, Sandbox

    sources = _programs.sources(args)
    texts, causal = _programs.texts(args)
    limits = Limits(seconds=args.time, memory_mb=args.memory)
    records = []
    with Sandbox(weak=args.allow_weak) as jail:
        for name, source, reason in sources:
            if source is None:
                records.append({"file": name, "outcome": "error", "reason": reason, "seconds": 0.0})
                continue
            result = jail.run(source, texts[:TEXTS], limits, causal)
            records.append({"file": name, "outcome": result.outcome, "reason": result.reason, "seconds": round(result.seconds, 4)})
    if args.json:
        output.document({"files": records})
    else:
        for r in records:
            print(
                f"{Path(str(r['file'])).name}: {r['outcome']}"
                + (f": {r['reason']}" if r["reason"] else "")
                + f" ({r['seconds']:.2f} s)"
            )
    return 0 if all(r["outcome"] == "ok" for r in records) else 1
