"""The policy on its own: any text is compiled or refused, and no accepted code can bind a guard."""

import dis
import random
import re
from pathlib import Path
from types import CodeType

import pytest

from sandbox.guards import GUARDS
from sandbox.policy import METHODS, Refused, compile_program

FOLDER = Path(__file__).parent
SOURCES = [
    "def program(sentence, tokenizer):\n" + "".join(f"    {line}\n" for line in section.split("\n")[1:])
    for file in [FOLDER / "habits.txt", *sorted((FOLDER / "hostile").glob("*.txt"))]
    for section in file.read_text().replace("\n---", "").split("\n=== ")[1:]
]
WORD = re.compile(r"\w+|\s+|[^\w\s]")
IN_CLASSES = {"__module__", "__qualname__", "__name__", "__doc__", *METHODS}


def mutants(count):
    rng = random.Random(0)
    pool = [word for source in SOURCES for word in WORD.findall(source)]
    for _ in range(count):
        words = WORD.findall(rng.choice(SOURCES))
        for _ in range(rng.randint(0, 4)):
            at = rng.randrange(len(words))
            words[at : at + rng.randint(0, 2)] = [rng.choice(pool)]
        yield "".join(words)


def code_objects(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from code_objects(constant)


def test_any_text_is_compiled_or_refused_and_guards_cannot_be_bound():
    accepted = 0
    for source in [*SOURCES, *mutants(1500)]:
        try:
            code, _ = compile_program(source)
        except Refused as refused:
            assert refused.reason and 0 <= refused.line <= source.count("\n") + 2
            continue
        accepted += 1
        for part in code_objects(code):
            local = {*part.co_varnames, *part.co_cellvars, *part.co_freevars}
            assert not [name for name in local if name.startswith("_")], source
            special = {name for name in part.co_names if name.startswith("_")}
            assert special <= {*GUARDS, "_module_", *IN_CLASSES}, (special, source)
            for step in dis.get_instructions(part):
                if step.opname.startswith(("STORE_", "DELETE_")) and str(step.argval).startswith("_"):
                    assert step.opname == "STORE_NAME" and step.argval in IN_CLASSES, (step, source)
    assert accepted > 300


@pytest.mark.parametrize(
    "text", ["", "\x00", "\ufeff", "def", "(" * 500, "x=" * 5000, "0x" + "f" * 50_000, "'" * 3, "\\", "\t\n  x"]
)
def test_no_text_crashes_the_policy(text):
    with pytest.raises(Refused):
        compile_program(text)
