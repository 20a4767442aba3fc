"""Syntax tree to text: the inverse of dsl/parser.py."""

from __future__ import annotations

from json import dumps

from dsl.nodes import (
    Aggregate,
    And,
    AnyNode,
    Binary,
    Block,
    Bool,
    Call,
    Compare,
    Concept,
    Expr,
    Find,
    IfElse,
    Let,
    Member,
    Name,
    Neg,
    Not,
    Num,
    Or,
    Program,
    Range,
    Rule,
    Same,
    Statement,
    Str,
    Use,
    free_names,
)

# How tightly a construct binds, loosest first; the grammar's levels.
_IF, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(10)
_LEVEL = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT, "%": _PRODUCT, "**": _POWER}
INDENT = "    "


def text(node: AnyNode) -> str:
    """The node as text; programs and blocks take several lines, without a newline at the end."""
    match node:
        case Program():
            return "\n".join([*map(text, node.concepts), *_lines(node.statements, "")])
        case Concept(name, params, guard):
            return f"concept {name}({', '.join(params)}) = {_expr(guard, _IF)}"
        case Rule() | Block() | Let():
            return "\n".join(_lines((node,), ""))
        case Range():
            return _range(node)
    return _expr(node, _IF)


def statements_text(program: Program) -> str:
    """A program without the definitions of the concepts that it uses."""
    return "\n".join(_lines(program.statements, ""))


def number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def _lines(statements: tuple[Statement, ...], indent: str) -> list[str]:
    lines: list[str] = []
    for s in statements:
        match s:
            case Let(name, value):
                lines.append(f"{indent}let {name} = {_expr(value, _IF)}")
            case Rule(op, value, guard):
                when = "" if guard is None else f"when {_expr(guard, _IF)} "
                lines.append(f"{indent}{when}{op}" + ("" if value is None else f" {_expr(value, _IF)}"))
            case Block(guard, then, other):
                lines.append(f"{indent}when {_expr(guard, _IF)} {{")
                lines += _lines(then, indent + INDENT)
                while len(other) == 1 and isinstance(other[0], Block):
                    inner = other[0]
                    lines.append(f"{indent}}} else when {_expr(inner.guard, _IF)} {{")
                    lines += _lines(inner.then, indent + INDENT)
                    other = inner.other
                if other:
                    lines.append(f"{indent}}} else {{")
                    lines += _lines(other, indent + INDENT)
                lines.append(f"{indent}}}")
    return lines


def _expr(node: Expr, level: int) -> str:
    """The expression, in parentheses where it binds more loosely than `level` asks for."""
    binds, written = _written(node)
    return f"({written})" if binds < level else written


def _written(node: Expr) -> tuple[int, str]:
    match node:
        case Num(value):
            return (_ATOM if value >= 0 and str(value)[0] != "-" else _SIGN), number(value)
        case Str(value):
            return _ATOM, dumps(value, ensure_ascii=False)
        case Bool(value):
            return _ATOM, "true" if value else "false"
        case Name(name):
            return _ATOM, name
        case Call(name, args):
            return _ATOM, f"{name}({', '.join(_expr(a, _IF) for a in args)})"
        case Use(concept, args):
            return _ATOM, f"{concept.name}({', '.join(_expr(a, _IF) for a in args)})"
        case Same(feature):
            return _ATOM, f"same({feature})"
        case Neg(item):
            return _SIGN, "-" + (f"({_expr(item, _IF)})" if isinstance(item, Num) else _expr(item, _SIGN))
        case Binary(op, left, right):
            mine = _LEVEL[op]
            if op == "**":  # binds to the right: -a ** b is -(a ** b)
                return _POWER, f"{_expr(left, _ATOM)} ** {_expr(right, _SIGN)}"
            return mine, f"{_expr(left, mine)} {op} {_expr(right, mine + 1)}"
        case Compare(op, left, right):
            return _COMPARE, f"{_expr(left, _SUM)} {op} {_expr(right, _SUM)}"
        case Member(item, values):
            return _COMPARE, f"{_expr(item, _SUM)} in {{{', '.join(_literal(v) for v in values)}}}"
        case Not(Member(item, values)):
            return _COMPARE, f"{_expr(item, _SUM)} not in {{{', '.join(_literal(v) for v in values)}}}"
        case Not(item):
            return _NOT, f"not {_expr(item, _NOT)}"
        case And(items):
            return _AND, " and ".join(_expr(i, _NOT) for i in items)
        case Or(items):
            return _OR, " or ".join(_expr(i, _AND) for i in items)
        case IfElse(test, then, other):
            return _IF, f"{_expr(then, _OR)} if {_expr(test, _OR)} else {_expr(other, _IF)}"  # binds to the right
        case Find(which, over, guard):
            one_sided = (
                over.domain is None and (over.low is None) == (which == "last") and (over.high is None) != (over.low is None)
            )
            bound = over.high if over.low is None else over.low
            nearest = one_sided and bound is not None and free_names(bound) & {"q", "k"}
            return _ATOM, f"{'nearest' if nearest else which}({_range(over)}: {_expr(guard, _IF)})"
        case Aggregate(kind, over, guard, value):
            if value is None:
                assert guard is not None
                return _ATOM, f"{kind}({_range(over)}: {_expr(guard, _IF)})"
            condition = "" if guard is None else f", {_expr(guard, _IF)}"
            return _ATOM, f"{kind}({_range(over)}{condition}: {_expr(value, _IF)})"
    raise TypeError(f"not an expression: {node!r}")


def _literal(value: str | float) -> str:
    return dumps(value, ensure_ascii=False) if isinstance(value, str) else number(value)


def _range(over: Range) -> str:
    var = over.var
    if over.domain is not None:
        return f"{var} in {_expr(over.domain, _IF)}"
    below = None
    if over.high is not None:
        stepped = _step(over.high, "-")
        below = f"<= {_expr(over.high, _SUM)}" if stepped is None else f"< {_expr(stepped, _SUM)}"
    if over.low is None:
        return f"{var} {below}" if below else var
    stepped = _step(over.low, "+")
    strict = stepped is not None
    above = _expr(over.low if stepped is None else stepped, _SUM)
    if below is None:
        return f"{var} {'>' if strict else '>='} {above}"
    return f"{above} {'<' if strict else '<='} {var} {below}"


def _step(bound: Expr, op: str) -> Expr | None:
    """The x of x + 1 or x - 1, as the parser writes p > x and p < x; None for other bounds."""
    if isinstance(bound, Binary) and bound.op == op and bound.right == Num(1.0):
        return bound.left
    return None
