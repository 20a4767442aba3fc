"""The language layer: what source is accepted, and how it is rewritten so that every access goes through a guard.

Built on RestrictedPython's transformer, which refuses every kind of node it does not know. Where it differs:
- Names that begin with one underscore are renamed to begin with "$", which no source can spell: helpers such as _char_sim
  keep working, and nothing in a program can bind a guard, whose names begin with an underscore.
- Items are read and iterated without a guard: no reachable type gives access to anything through them. Attributes are read
  through _getattr_ (deny by default), items are written through _write_, attributes through _write_attribute_.
- Augmented assignment works on items too; annotations are dropped; imports become look-ups of facades.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from RestrictedPython.transformer import INSPECT_ATTRIBUTES, RestrictingNodeTransformer

from sandbox.facades import IMPORTABLE, words

FILENAME = "<program>"
METHODS = words(
    """__init__ __call__ __contains__ __len__ __getitem__ __iter__ __lt__ __le__ __eq__ __ne__ __gt__ __ge__ __repr__
__str__"""
)
CACHES = frozenset({"lru_cache", "cache"})
UNAVAILABLE = words(
    """aiter anext breakpoint bytearray classmethod compile copyright credits delattr dir eval exec exit globals hash
help id input license locals memoryview open quit setattr super vars BaseException
BaseExceptionGroup ExceptionGroup GeneratorExit KeyboardInterrupt SystemExit EnvironmentError"""
)
DANGEROUS_TEXT = re.compile("[\x00\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]")


class Refused(Exception):
    """The source is outside what the sandbox runs. line: 1-based, 0 where there is none."""

    def __init__(self, line: int | None, reason: str):
        super().__init__(reason)
        self.line, self.reason = line or 0, reason


def compile_program(source: str) -> tuple[Any, str]:
    """Code object and the name, in the code's namespace, of the file's last top-level function of two parameters."""
    if found := DANGEROUS_TEXT.search(source):
        kind = "a NUL character" if found[0] == "\0" else "a character that reorders the text on screen"
        raise Refused(source.count("\n", 0, found.start()) + 1, f"the source contains {kind}")
    policy = Policy()
    try:
        tree = ast.parse(source, FILENAME)
        tree.body = [node for node in tree.body if not is_main_block(node)]
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        programs = [f for f in functions if takes_two(f.args)] or [f for f in functions if takes_two(f.args, optional=True)]
        if not programs:
            raise Refused(None, "no top-level function of two parameters (sentence, tokenizer)")
        tree = policy.visit(tree)
        policy.check_unavailable()
        return compile(tree, FILENAME, "exec", dont_inherit=True, optimize=0), programs[-1].name
    except SyntaxError as error:
        raise Refused(error.lineno, f"invalid syntax: {error.msg}") from None
    except RecursionError:
        raise Refused(None, "nested too deeply to be compiled") from None
    except ValueError as error:
        raise Refused(None, f"cannot be compiled: {error}") from None


def is_main_block(node: ast.stmt) -> bool:
    """`if __name__ == "__main__":` never runs here, whatever it imports."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("__name__ == '__main__'", "'__main__' == __name__")


def takes_two(arguments: ast.arguments, optional: bool = False) -> bool:
    """Two parameters; optional: further ones that have a default do not count."""
    positional = len(arguments.posonlyargs) + len(arguments.args) - (len(arguments.defaults) if optional else 0)
    return positional == 2 and None not in arguments.kw_defaults


class Policy(RestrictingNodeTransformer):
    """Rewrites a module in place; raises Refused at the first thing it does not accept."""

    def __init__(self) -> None:
        super().__init__()
        self.bound: set[str] = set()
        self.missing: list[tuple[int, str]] = []  # loads of builtins that do not exist here
        self.methods: set[int] = set()  # id() of the function nodes that may carry a name of METHODS
        self.modules = {"np": "numpy"}  # local name -> facade, for a refusal before anything runs

    def error(self, node: ast.AST, info: str) -> None:
        raise Refused(getattr(node, "lineno", None), info)

    def not_allowed(self, node: ast.AST) -> None:
        kind = {"TryStar": "except*", "AsyncFunctionDef": "async"}.get(type(node).__name__, type(node).__name__)
        self.error(node, f"{kind} is not available in the sandbox")

    def check_unavailable(self) -> None:
        for line, name in self.missing:
            if name not in self.bound:
                raise Refused(line, f"{name} is not available in the sandbox")

    # names

    def renamed(self, node: ast.AST, name: str) -> str:
        if not name.startswith("_"):
            return name
        if len(name) > 4 and name.startswith("__") and name.endswith("__"):
            self.error(node, f"the name {name} is not available in the sandbox")
        return "$" + name[1:]

    def bind(self, node: ast.AST, name: str) -> str:
        self.bound.add(name)
        self.modules.pop(name, None)
        return self.renamed(node, name)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load):
            if node.id == "__name__":
                return ast.copy_location(ast.Constant("program"), node)
            if node.id in UNAVAILABLE:
                self.missing.append((node.lineno, node.id))
            node.id = self.renamed(node, node.id)
        else:
            node.id = self.bind(node, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.arg, node.annotation = self.bind(node, node.arg), None
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        if node.arg is not None:
            node.arg = self.renamed(node, node.arg)
        return self.node_contents_visit(node)

    def visit_Global(self, node: ast.Global) -> ast.AST:
        node.names = [self.bind(node, name) for name in node.names]
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        node.names = [self.bind(node, name) for name in node.names]
        return node

    # attributes and items

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        name = node.attr
        if name == "_" or name in INSPECT_ATTRIBUTES or (name.startswith("__") and name.endswith("__")):
            self.error(node, f"the attribute {name} is not available in the sandbox")
        self.check_module_member(node)
        attribute = self.renamed(node, name)
        node = self.node_contents_visit(node)
        if isinstance(node.ctx, ast.Load):
            return call(node, "_getattr_", node.value, ast.Constant(attribute))
        node.attr = attribute
        node.value = call(node.value, "_write_attribute_", node.value)
        return node

    def check_module_member(self, node: ast.Attribute) -> None:
        module = self.module_of(node.value)
        members = IMPORTABLE.get(module)
        if members is not None and node.attr not in members:
            self.error(node, f"{module}.{node.attr} is not available in the sandbox")

    def module_of(self, node: ast.expr) -> str:
        """Dotted name of the module that an expression names, "" for anything else."""
        if isinstance(node, ast.Name):
            return self.modules.get(node.id, "")
        if isinstance(node, ast.Attribute) and (owner := self.module_of(node.value)):
            return f"{owner}.{node.attr}"
        return ""

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        node = self.node_contents_visit(node)
        if not isinstance(node.ctx, ast.Load):
            node.value = call(node.value, "_write_", node.value)
        return node

    # statements and calls that need no guard of their own

    def visit_contents(self, node: Any) -> Any:
        return self.node_contents_visit(node)

    visit_Assign = visit_AugAssign = visit_Call = visit_With = visit_Module = visit_Lambda = visit_contents
    visit_NamedExpr = visit_For = visit_comprehension = visit_contents
    visit_Match = visit_match_case = visit_MatchOr = visit_MatchSequence = visit_MatchSingleton = visit_contents

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            if isinstance(node.target, ast.Name):
                self.bind(node, node.target.id)
            return ast.copy_location(ast.Pass(), node)
        return self.visit(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        if node.type is None:
            node.type = ast.copy_location(ast.Name("Exception", ast.Load()), node)
        if node.name:
            node.name = self.bind(node, node.name)
        return self.node_contents_visit(node)

    # match: only patterns that read no attribute

    def visit_MatchValue(self, node: ast.AST) -> ast.AST:
        if any(isinstance(part, ast.Attribute) for part in ast.walk(node)):
            self.error(node, "a dotted name in a pattern is not available in the sandbox")
        return self.node_contents_visit(node)

    def visit_MatchAs(self, node: Any) -> ast.AST:
        if node.name:
            node.name = self.bind(node, node.name)
        return self.node_contents_visit(node)

    visit_MatchStar = visit_MatchAs

    # functions and classes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        for decorator in node.decorator_list:
            name = last_name(decorator)
            if name not in CACHES and not (id(node) in self.methods and name in ("staticmethod", "property")):
                self.error(decorator, f"the decorator {name} is not available in the sandbox")
        node.decorator_list = [d for d in node.decorator_list if isinstance(d, ast.Name) and d.id not in CACHES]
        if not (id(node) in self.methods and node.name in METHODS):
            node.name = self.bind(node, node.name)
        node.returns = None
        return self.node_contents_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        if node.keywords or any(not (isinstance(base, ast.Name) and base.id == "object") for base in node.bases):
            self.error(node, "a class with a base class is not available in the sandbox")
        for decorator in node.decorator_list:
            if last_name(decorator) != "dataclass":
                self.error(decorator, "class decorators other than dataclass are not available in the sandbox")
        if node.decorator_list:
            add_init(node)
        node.name, node.bases, node.decorator_list = self.bind(node, node.name), [], []
        self.methods |= {id(part) for part in node.body if isinstance(part, ast.FunctionDef)}
        node = self.node_contents_visit(node)
        node.decorator_list = [ast.copy_location(ast.Name("_class_", ast.Load()), node)]
        return node

    # imports: look-ups of facades

    def visit_Import(self, node: ast.Import) -> list[ast.AST]:
        out: list[ast.AST] = []
        for alias in node.names:
            self.check_import(node, alias.name)
            bound = alias.asname or alias.name.split(".")[0]
            module = alias.name if alias.asname else bound
            target = self.bind(node, bound)
            self.modules[bound] = module
            out.append(assignment(node, target, call(node, "_module_", ast.Constant(module))))
        return out

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.AST] | ast.AST:
        if node.module == "__future__":
            return ast.copy_location(ast.Pass(), node)
        self.check_import(node, node.module if node.module and not node.level else ".")
        out: list[ast.AST] = []
        for alias in node.names:
            if alias.name not in IMPORTABLE[node.module or ""]:
                self.error(node, f"{node.module}.{alias.name} is not available in the sandbox")
            module = call(node, "_module_", ast.Constant(node.module))
            value = call(node, "_getattr_", module, ast.Constant(alias.name))
            out.append(assignment(node, self.bind(node, alias.asname or alias.name), value))
        return out

    def check_import(self, node: ast.AST, name: str) -> None:
        if name not in IMPORTABLE:
            self.error(node, f"import of {name} is not available in the sandbox (numpy and a few pure modules are)")


def last_name(decorator: ast.expr) -> str:
    """lru_cache of lru_cache, functools.lru_cache and lru_cache(maxsize=None)."""
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "?")


def call(old: ast.AST, name: str, *arguments: ast.expr) -> ast.Call:
    """name(*arguments), standing where old stood."""
    new = ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
    for part in (new, new.func, *arguments):
        if not hasattr(part, "lineno"):
            ast.copy_location(part, old)
    return new


def assignment(old: ast.AST, target: str, value: ast.expr) -> ast.Assign:
    new = ast.copy_location(ast.Assign([ast.Name(target, ast.Store())], value), old)
    ast.copy_location(new.targets[0], old)
    return new


def add_init(node: ast.ClassDef) -> None:
    """What @dataclass would add for plain fields: an __init__ that takes and keeps them, in their order."""
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)]
    names = [part.target.id for part in fields if isinstance(part.target, ast.Name)]
    if any(name.startswith("_") or name == "self" for name in names):
        raise Refused(node.lineno, "a dataclass field with a leading underscore is not available in the sandbox")
    if any(isinstance(part.value, ast.Call) for part in fields):
        raise Refused(node.lineno, "dataclass fields with a call as default are not available in the sandbox")
    if not names or any(isinstance(part, ast.FunctionDef) and part.name == "__init__" for part in node.body):
        return
    defaults = [part.value for part in fields if part.value is not None]
    init = ast.parse("def __init__(self): pass").body[0]
    assert isinstance(init, ast.FunctionDef)
    init.args.args += [ast.arg(name) for name in names]
    init.args.defaults = defaults
    init.body = [*ast.parse("\n".join(f"self.{name} = {name}" for name in names)).body]
    for part in ast.walk(init):
        ast.copy_location(part, node)
    node.body = [part for part in node.body if part not in fields] + [ast.fix_missing_locations(init)]


def spelled(name: str) -> str:
    """A name or message as the program's author wrote it."""
    return name.replace("$", "_")
