"""The attention-pattern language: parse, check, simplify, print and evaluate programs; lift Python into it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dsl.errors import LanguageError
from dsl.nodes import Concept, Program
from dsl.text import Text, Word

if TYPE_CHECKING:
    from dsl.batch import Batch
    from dsl.canonical import simplify
    from dsl.evaluator import evaluate
    from dsl.parser import parse, parse_concepts, parse_expression
    from dsl.python import to_module, to_python
    from dsl.sentences import english
    from dsl.sizes import size

# Loaded on first use: numpy and lark cost more than the rest of the package together.
_LAZY = {
    "Batch": "dsl.batch",
    "english": "dsl.sentences",
    "evaluate": "dsl.evaluator",
    "parse": "dsl.parser",
    "parse_concepts": "dsl.parser",
    "parse_expression": "dsl.parser",
    "simplify": "dsl.canonical",
    "size": "dsl.sizes",
    "to_module": "dsl.python",
    "to_python": "dsl.python",
}

__all__ = [
    "Batch",
    "Concept",
    "LanguageError",
    "Program",
    "Text",
    "Word",
    "english",
    "evaluate",
    "parse",
    "parse_concepts",
    "parse_expression",
    "simplify",
    "size",
    "to_module",
    "to_python",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'dsl' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value  # a submodule of the same name must not hide the function
    return value
