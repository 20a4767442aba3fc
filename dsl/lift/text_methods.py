"""Methods of strings."""

from __future__ import annotations

from typing import Any

from dsl.lift.choosing import Choosing
from dsl.lift.guards import if_
from dsl.lift.sequences import constant, items_of
from dsl.lift.terms import ZERO, neg, num
from dsl.lift.values import Opaque, Ref, S, expr, joined, value_of
from dsl.nodes import FALSE, Call

_TESTS = {"isalpha", "isalnum", "isdigit", "isnumeric", "isspace", "isupper", "islower", "istitle"}


class TextMethods(Choosing):
    def string_method(self, name: str, of: Any, args: list[Any]) -> Any:
        args = [tuple(items_of(self.unbox(a)) or ()) if isinstance(a, Ref) else a for a in args]
        if isinstance(of, str) and all(isinstance(a, str | int | tuple) or a is None for a in args):
            if name in ("format", "format_map"):
                return Opaque("string")
            if name == "join":
                known = args[0] if isinstance(args[0], tuple) else ()
                made = joined(*[p for k in known for p in (of, k)][1:]) if known else None
                return Opaque("string") if made is None else made
            if name in ("center", "ljust", "rjust", "zfill", "expandtabs") or not hasattr(of, name) or name.startswith("_"):
                self.refuse(f"the string method {name}")
            try:
                result = getattr(of, name)(*args)
            except (TypeError, ValueError):
                return self.refuse(f"the string method {name} with these arguments")
            if isinstance(result, list):
                return self.box(constant(result))
            return result
        if isinstance(of, str) and name == "join":
            return Opaque("joined")
        if isinstance(of, str) and name == "format":
            return Opaque("string")
        e = expr(of)
        if isinstance(of, S) and of.sort == "word":
            e = Call("text", (e,))
        texts = [expr(a) for a in args if not isinstance(a, tuple) and a is not None]
        match name:
            case "lower" | "upper" | "casefold":
                return S("text", Call("lower" if name == "casefold" else name, (e,)))
            case "strip" | "lstrip" | "rstrip":
                return S("text", Call(name, (e, *texts)))
            case "replace":
                return S("text", Call("replace", (e, *texts[:2])))
            case "startswith" | "endswith":
                options = [expr(a) for a in args[0]] if isinstance(args[0], tuple) else texts[:1]
                if len(args) > 1:
                    self.refuse(f"{name} from a position")
                return value_of("guard", Call(name, (e, *options)) if options else FALSE)
            case "count":
                return S("number", Call("occurrences", (e, *texts[:1])))
            case "removeprefix" | "removesuffix":
                size = Call("length", (texts[0],)) if not isinstance(args[0], str) else num(len(args[0]))
                if name == "removeprefix":
                    return S("text", if_(Call("startswith", (e, texts[0])), Call("slice", (e, size)), e))
                return S("text", if_(Call("endswith", (e, texts[0])), Call("slice", (e, ZERO, neg(size))), e))
            case "split" if not args or args == [" "]:
                return Opaque("string")
            case "find" | "index" if len(args) == 1:
                self.refuse(f"the place of a string in a token ({name})")
            case "isdecimal":
                return value_of("guard", Call("isdigit", (e,)))
            case "isidentifier" | "isascii" | "isprintable":
                self.refuse(f"the string method {name}")
            case "encode" | "format" | "join":
                return Opaque("string")
        if name in _TESTS:
            return value_of("guard", Call(name, (e,)))
        return self.refuse(f"the string method {name}")
