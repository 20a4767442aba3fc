"""What compiled programs see at run time: guards for attributes and writing, and the builtins.

Attributes are allowed by exact type and name; everything else does not exist.
"""

from __future__ import annotations

import builtins
import collections
import functools
import itertools
import random
import re
import sys
from typing import Any

import numpy as np

from sandbox.document import Doc, Span, Token
from sandbox.encoding import ENTRIES, BatchEncoding, CharSpan, Tokens, TokenSpan
from sandbox.facades import Namespace, words
from sandbox.morph import Morph
from sandbox.tensor import Tensor
from sandbox.tokenizer import Tokenizer


def public(kind: type, *hidden: str) -> frozenset[str]:
    return frozenset(name for name in dir(kind) if not name.startswith("_") and name not in hidden)


STRING = public(str, "format", "format_map")
NUMBER = words("""real imag conjugate is_integer bit_length as_integer_ratio numerator denominator bit_count hex""")
ARRAY = words(
    """T all any argmax argmin argpartition argsort astype clip compress conj copy cumprod cumsum diagonal dot dtype
fill flat flatten imag item max mean min nbytes ndim nonzero partition prod ptp put ravel real repeat reshape
round searchsorted shape size sort squeeze std sum swapaxes take tolist trace transpose var"""
)
UFUNC = words("accumulate at outer reduce reduceat")
GENERATOR = words(
    """beta binomial choice dirichlet exponential gamma integers normal permutation permuted poisson rand randint
randn random random_sample seed shuffle standard_normal triangular uniform"""
)

ATTRIBUTES: dict[type, frozenset[str]] = {
    str: STRING,
    bytes: frozenset(["decode", "hex"]),
    **dict.fromkeys((int, float, bool, complex), NUMBER),
    **{kind: public(kind) for kind in (list, tuple, set, frozenset, dict, collections.deque)},
    **{kind: public(kind) for kind in (collections.defaultdict, collections.Counter, collections.OrderedDict)},
    range: words("start stop step count index"),
    slice: frozenset(["start", "stop", "step", "indices"]),
    **{type(getattr({}, view)()): frozenset({"isdisjoint"}) for view in ("keys", "values", "items")},
    re.Pattern: words("match search findall finditer fullmatch sub subn split pattern groups"),
    re.Match: words("group groups groupdict start end span lastindex lastgroup string expand"),
    np.ndarray: ARRAY,
    np.flatiter: frozenset({"copy"}),
    np.ufunc: UFUNC,
    np.finfo: frozenset(["eps", "max", "min", "tiny"]),
    np.iinfo: frozenset(["max", "min"]),
    np.random.RandomState: GENERATOR,
    np.random.Generator: GENERATOR,
    random.Random: words("choice choices gauss randint random randrange sample seed shuffle uniform"),
    Doc: public(Doc),
    Token: public(Token),
    Span: public(Span),
    Morph: public(Morph),
    Tokenizer: public(Tokenizer),
    BatchEncoding: public(BatchEncoding) | frozenset(ENTRIES),
    Tokens: public(Tokens),
    **dict.fromkeys((TokenSpan, CharSpan), frozenset({"start", "end"})),
    Tensor: public(Tensor),
}
for _kind in {np.dtype(c).type for c in np.typecodes["All"]}:
    ATTRIBUTES[_kind] = ARRAY | NUMBER if _kind is not np.str_ else ARRAY | STRING
for _kind in {type(np.dtype(c)) for c in np.typecodes["All"]}:
    ATTRIBUTES[_kind] = frozenset(["kind", "name", "itemsize", "char"])

TYPE_ATTRIBUTES: dict[type, frozenset[str]] = {
    **{kind: ATTRIBUTES[kind] for kind in (str, list, tuple, set, frozenset, dict, int, float)},
    itertools.chain: frozenset({"from_iterable"}),
}
WRITABLE = frozenset(
    {list, dict, collections.defaultdict, collections.Counter, collections.OrderedDict, collections.deque, np.ndarray,
     np.flatiter}
)  # fmt: skip
PLAIN_TYPES = frozenset({str, int, float, bool, list, tuple, dict, set, frozenset, type(None), np.ndarray, np.float64, np.int64})
PLAIN_FIELD = re.compile(r"\{\{|\}\}|\{\w*(![rsa])?(:[^{}]*)?\}|[^{}]+")

user_classes: set[type] = set()  # classes that the program in this worker defined


def get_attribute(value: Any, name: str) -> Any:
    """value.name where that is allowed; else AttributeError."""
    kind = type(value)
    allowed = ATTRIBUTES.get(kind)
    if allowed is not None and name in allowed:
        return getattr(value, name)
    if kind is Namespace:
        entries = value._entries
        if name in entries:
            return entries[name]
    elif kind in user_classes:
        return getattr(value, name)
    elif kind is type:
        if value in user_classes and name in vars(value):
            return getattr(value, name)
        if name in TYPE_ATTRIBUTES.get(value, ()):
            return getattr(value, name)
    elif kind is str and name == "format":
        return functools.partial(plain_format, value)
    owner = repr(value) if kind is Namespace else kind.__name__
    raise AttributeError(f"{owner} has no attribute {name} in the sandbox")


def plain_format(template: str, *arguments: Any, **named: Any) -> str:
    """str.format for fields that are a number or a name: no attribute, no item, no nested field."""
    if "".join(found[0] for found in PLAIN_FIELD.finditer(template)) != template:
        raise ValueError("format fields may only be numbers or names in the sandbox")
    return template.format(*arguments, **named)


def named_attribute(value: Any, name: Any, *default: Any) -> Any:
    """getattr for programs."""
    if type(name) is not str or name.startswith("_") or len(default) > 1:
        raise AttributeError("this attribute is not available in the sandbox")
    try:
        return get_attribute(value, name)
    except AttributeError:
        if default:
            return default[0]
        raise


def has_attribute(value: Any, name: Any) -> bool:
    missing = object()
    return named_attribute(value, name, missing) is not missing


def writable(value: Any) -> Any:
    """value, if its items may be changed; else TypeError."""
    if type(value) in WRITABLE or type(value) in user_classes:
        return value
    raise TypeError(f"the items of {type(value).__name__} cannot be changed in the sandbox")


def writable_attribute(value: Any) -> Any:
    """value, if its attributes may be changed (the program's own classes and their instances); else TypeError."""
    if type(value) in user_classes or (type(value) is type and value in user_classes):
        return value
    raise TypeError(f"the attributes of {type(value).__name__} cannot be changed in the sandbox")


def plain_type(value: Any) -> type:
    """type(value) for plain data: classes of anything else are nobody's business."""
    if type(value) in PLAIN_TYPES:
        return type(value)
    raise TypeError("type() knows only plain data in the sandbox: use isinstance")


def own_class(kind: type) -> type:
    user_classes.add(kind)
    return kind


def silent(*_: Any, **__: Any) -> None:
    """print: there is nowhere to print to."""


def loaded_numpy(name: str, *_: Any, **__: Any) -> Any:
    """numpy's C code imports through the caller's __import__; programs cannot name it (see policy.py)."""
    if name == "numpy" or (name.startswith("numpy.") and name in sys.modules):
        return sys.modules["numpy"] if not (len(_) > 2 and _[2]) else sys.modules[name]
    raise ImportError("import is not available in the sandbox")


BUILTINS: dict[str, Any] = {
    name: getattr(builtins, name)
    for name in words(
        """__build_class__ abs all any ascii bin bool bytes callable chr complex dict divmod enumerate filter float
format frozenset hex int isinstance issubclass iter len list map max min next object oct ord pow property range repr
reversed round set slice sorted staticmethod str sum tuple zip Ellipsis NotImplemented ArithmeticError
AssertionError AttributeError EOFError Exception FloatingPointError ImportError IndexError KeyError
LookupError MemoryError NameError NotImplementedError OSError OverflowError RecursionError RuntimeError
RuntimeWarning StopIteration SyntaxError TypeError UnboundLocalError UnicodeDecodeError UnicodeEncodeError
UnicodeError UserWarning ValueError Warning ZeroDivisionError"""
    )
} | {
    "__import__": loaded_numpy,
    "getattr": named_attribute,
    "hasattr": has_attribute,
    "print": silent,
    "type": plain_type,
}

GUARDS: dict[str, Any] = {
    "_getattr_": get_attribute,
    "_write_": writable,
    "_write_attribute_": writable_attribute,
    "_class_": own_class,
}
