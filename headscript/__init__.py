"""headscript for Python: explain the heads of a model, and use what was found.

    run = headscript.explain(model, tokenizer, texts, heads="L2", evaluations=20_000)
    run = headscript.load("runs/demo")
    run.heads["L2H3"].program            # a program; str() gives its text
    run.heads["L2H3"].pattern("A text")  # (n, n) float32, query x key
    with run.replace(model, heads="L2"):
        model(**inputs)                  # runs with programs in place of these heads

Importing this module is light: numpy, torch and the rest are loaded when they are first needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dsl import LanguageError, Program, parse
    from headscript.explaining import explain
    from headscript.programs import evaluate, lift
    from headscript.run import Run, load

_WHERE = {
    "LanguageError": "dsl",
    "Program": "dsl",
    "Run": "headscript.run",
    "evaluate": "headscript.programs",
    "explain": "headscript.explaining",
    "lift": "headscript.programs",
    "load": "headscript.run",
    "parse": "dsl",
}

__all__ = ["LanguageError", "Program", "Run", "evaluate", "explain", "lift", "load", "parse"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'headscript' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
