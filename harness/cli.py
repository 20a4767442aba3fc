"""The command line: `headscript COMMAND …`. Exit 0 done, 1 failed (one clear line), 2 wrong usage."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NoReturn

from harness.errors import UsageError, UserError

# Each command is a module of harness/commands with `arguments(parser)` and `main(args) -> int`; imported when it is asked for.
COMMANDS = {
    "run": "search programs for the heads of a model",
    "show": "the library of a run, or one head: program, English, IoU, maps",
    "lift": "turn Python programs into the language, validated in the sandbox",
    "check": "parse and check programs in the language; print the canonical form",
    "sandbox": "run Python programs in the jail and say how each ended",
    "score": "IoU of given programs on other text",
    "cover": "choose a small library that covers all heads",
    "replace": "put programs in place of heads and measure the model",
    "export": "write a head's program as a standalone Python module",
    "report": "one self-contained HTML page for a run",
    "serve": "a live page on this machine: texts and programs of one's own",
    "compare": "the same heads under several runs",
    "find": "programs of runs that use a word, a concept, a relation, or do the same",
    "simulate": "what a reader of the explanations knows about the heads",
    "merge": "join run folders of parts of a model into one",
}
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in argv
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows no more than ASCII gets escapes instead of an error
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        args = parse_arguments(argv)
        code = int(args.main(args) or 0)
        sys.stdout.flush()  # so that a full disk is told, and not met when the interpreter ends
        return code
    except SystemExit as stop:  # --help, --version
        return int(stop.code or 0) if not isinstance(stop.code, str) else 1
    except KeyboardInterrupt:
        if debug:
            raise
        print("headscript: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        _close()
        return 1
    except Exception as error:
        if debug:
            raise
        print(f"headscript: {one_line(error)}", file=sys.stderr)
        if isinstance(error, OSError) and not error.filename:
            _close()
        return 2 if isinstance(error, UsageError) else 1


def _close() -> None:
    """Standard output goes nowhere from here on, so that the interpreter's last flush does not fail too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def one_line(error: BaseException) -> str:
    """What the user is told of an error; for errors that are not the user's, its kind too."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'standard output'}: {error.strerror}"
    if isinstance(error, (UserError, ValueError)) and text:
        return text
    return f"{type(error).__name__}: {text} (this is a defect; --debug shows where)"


def parse_arguments(argv: list[str]) -> argparse.Namespace:
    """The arguments of a command, defaults filled in. Raises UsageError."""
    parser = _Parser(
        prog="headscript", description="Explains attention heads as short, readable programs, and measures how faithful they are."
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    wanted = next((a for a in argv if not a.startswith("-")), None)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == wanted:  # only the command at hand is imported
            module = import_module(f"harness.commands.{name}")
            module.arguments(sub)
            sub.set_defaults(main=module.main)
            _common(sub)
    args = parser.parse_args(argv)
    if args.version:
        from importlib.metadata import version

        print(f"headscript {version('headscript')}")
        raise SystemExit(0)
    if args.command is None:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    return args


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout; messages go to stderr")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def positive(kind: Callable[[str], Any] = int) -> Callable[[str], Any]:
    """An argument type: a number above zero."""

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not value > 0 or value != value or value == float("inf"):
            raise argparse.ArgumentTypeError(f"{text} is not above zero")
        return value

    return read


def natural(text: str) -> int:
    """An argument type: 0, 1, 2 and so on."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below zero")
    return value


def at_least_zero(text: str) -> float:
    """An argument type: a number that is not negative."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is below zero")
    return value


if __name__ == "__main__":
    sys.exit(main())
