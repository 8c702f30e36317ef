"""Does a test fail when the core is altered? Every cell of the rules table, and what an AST shows: `make mutation`.

Each mutant lives in a forked process of its own, in memory: the module is compiled altered, then the tests of `core/`
run, the module's own first, up to the first that fails. What no test minded is printed with its line, but for those
named in `equivalent.txt`, which alter nothing that anyone could see. `python tests/mutation.py follow shape` runs some.
"""

from __future__ import annotations

import ast
import copy
import importlib.abc
import importlib.util
import io
import os
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import anki.notetypes_pb2  # noqa: F401  # whatever every process would import
import hypothesis.strategies  # noqa: F401
import pytest
from hypothesis import Phase, settings

TESTS = Path(__file__).parent
CORE = TESTS.parent / "usbsync" / "core"
WORKERS, LIMIT = 2, 90  # s of a processor, whatever else runs on it
LAWS = os.environ.setdefault("USBSYNC_LAWS", "25")
FIRST = {
    "changes": "test_reconcile",
    "conflict": "test_conflicts",
    "contest": "test_rules",
    "forest": "test_decks",
    "merging": "test_reconcile",
    "names": "test_conflicts",
    "notetypes": "test_shape",
    "rowmerge": "test_conflicts",
    "titles": "test_conflicts",
}
"""Where a module's mutants die soonest, if not in the tests of its name."""
ALONE = {
    **{module: [f"test_{module}"] for module in ("lift", "lineage", "media", "watching")},
    "unicase": ["test_decks"],
    "wire": ["test_wire", "test_units"],
    **{module: ["test_begin"] for module in ("first", "guard", "recovery")},
}
"""Modules that only these tests are about."""
LAST = ["test_align", "test_follow", "test_reconcile", "test_conflicts", "test_three", "test_laws"]
"""What merges whole worlds, the quickest first."""


# ---- what to alter

FLIPPED: dict[type, type] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn,
    ast.NotIn: ast.In, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.And: ast.Or,
    ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.Mult: ast.FloorDiv,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "_work": "_rest", "_rest": "_work"}
HOW = ("POLICY", "LATER", "COUNTED", "TODAY", "HIGHEST", "NEWER")


def altered(node: ast.AST) -> Iterator[tuple[str, Callable]]:  # noqa: C901, PLR0912  # a table
    """Yield what can be done to one node: in words, and how."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in FLIPPED:
            yield f"{_word(op)} flipped", lambda n: _with(n, ops=[FLIPPED[type(n.ops[0])]()])
        case ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in FLIPPED and not _is_type(node):
            yield f"{_word(op)} flipped", lambda n: _with(n, op=FLIPPED[type(n.op)]())
        case ast.UnaryOp(op=ast.Not()):
            yield "not dropped", lambda n: n.operand
        case ast.Constant(value=bool()):
            yield "truth flipped", lambda n: _with(n, value=not n.value)
        case ast.Constant(value=int()):
            yield "one more", lambda n: _with(n, value=n.value + 1)
        case ast.Constant(value=str(text)) if text and " " not in text:
            yield "another text", lambda n: _with(n, value=f"{n.value}x")
        case ast.Return(value=ast.expr() as value) if not _is(value, None):
            yield "returns None", lambda n: _with(n, value=ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()) | ast.AugAssign() | ast.Continue():
            yield "taken out", lambda n: ast.copy_location(ast.Pass(), n)
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield "taken out", lambda n: ast.copy_location(ast.Pass(), n)
        case ast.If() | ast.IfExp():
            for truth in (True, False):
                yield f"if {truth}", lambda n, truth=truth: _with(n, test=ast.Constant(truth))
        case ast.comprehension(ifs=[_, *_]):
            yield "unfiltered", lambda n: _with(n, ifs=[])
        case ast.Name(id=name, ctx=ast.Load()) if name in NAMES:
            yield NAMES[name], lambda n: _with(n, id=NAMES[n.id])
        case ast.Call(func=ast.Name(id="sorted"), keywords=[]):
            yield "unsorted", lambda n: _with(n, func=ast.Name("list", ast.Load()))
        case ast.Attribute(value=ast.Name(id="How"), attr=attr, ctx=ast.Load()):
            for other in (each for each in HOW if each != attr):
                yield f"How.{other}", lambda n, other=other: _with(n, attr=other)
        case ast.Attribute(value=ast.Name(id="Side"), attr="DESKTOP" | "PHONE" as attr, ctx=ast.Load()):
            other = "PHONE" if attr == "DESKTOP" else "DESKTOP"
            yield f"Side.{other}", lambda n: _with(n, attr=other)


def _with(node: ast.AST, **values: object) -> ast.AST:
    for name, value in values.items():
        setattr(node, name, value)
    return node


def _is(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _word(op: ast.AST) -> str:
    return type(op).__name__.lower()


def _is_type(node: ast.AST) -> bool:
    """Whether a `|` joins types; those are not run."""
    sides = [getattr(node, "left", None), getattr(node, "right", None)]
    names = ("str", "int", "None", "bytes", "bool")
    return any(_is(each, None) or (isinstance(each, ast.Name) and each.id in names) for each in sides)


@dataclass(frozen=True)
class Mutant:
    """One alteration of one module."""

    module: str
    node: int  # its place in ast.walk of what is run
    way: int
    line: int
    text: str
    what: str

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line} {self.what}: {self.text}"

    @property
    def name(self) -> str:
        """What `equivalent.txt` calls it: the line's number would not last."""
        return f"{self.module} | {self.what} | {self.text}"


def mutants(module: str) -> Iterator[Mutant]:
    """Yield every alteration of a module."""
    source = (CORE / f"{module}.py").read_text()
    lines = source.splitlines()
    for at, node in enumerate(_run(ast.parse(source))):
        for way, (what, _) in enumerate(altered(node)):
            line = getattr(node, "lineno", 0) or node.ifs[0].lineno
            yield Mutant(module, at, way, line, lines[line - 1].strip(), what)


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what is run: no annotations, docstrings, TypeVars, messages."""
    for name, value in ast.iter_fields(tree):
        if name in {"annotation", "decorator_list", "returns", "type_params", "format_spec"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _silent(child):
                yield child
                yield from _run(child)


def _silent(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant()) | ast.Raise() | ast.ImportFrom() | ast.Import() | ast.JoinedStr():
            return True
        case ast.AnnAssign(annotation=ast.Name(id="TypeAlias")):
            return True
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar"))):
            return True
    return False


def compiled(mutant: Mutant) -> object:
    """Compile a module, altered."""
    path = CORE / f"{mutant.module}.py"
    tree = ast.parse(path.read_text())
    target = list(_run(tree))[mutant.node]
    change = list(altered(target))[mutant.way][1]
    Replace(target, change).visit(tree)
    return compile(ast.fix_missing_locations(tree), str(path), "exec")


class Replace(ast.NodeTransformer):
    """Put another node in the place of one."""

    def __init__(self, target: ast.AST, change: Callable) -> None:
        self.target, self.change = target, change

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.target:
            return self.change(copy.copy(node))
        return self.generic_visit(node)


# ---- one mutant's life


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Import one module altered, all others as they are."""

    def __init__(self, mutant: Mutant) -> None:
        self.name, self.mutant = f"usbsync.core.{mutant.module}", mutant

    def find_spec(self, name, path=None, target=None):
        where = str(CORE / f"{self.mutant.module}.py")
        return importlib.util.spec_from_file_location(name, where, loader=self) if name == self.name else None

    def exec_module(self, module) -> None:
        exec(compiled(self.mutant), module.__dict__)


def tests_of(module: str) -> list[str]:
    """Return the tests that a mutant of this module must get past, its own first."""
    names = {path.stem for path in (TESTS / "core").glob("test_*.py")}
    if module not in ALONE:
        own = [FIRST.get(module, f"test_{module}")]
        rest = sorted(names - {"test_media", *own, *LAST})
        names = [*own, *rest, *(each for each in LAST if each not in own)]
    else:
        names = ALONE[module]
    return [str(TESTS / "core" / f"{name}.py") for name in names]


def live(mutant: Mutant | None, tests: list[str]) -> int:
    """Run the tests in a process that is about to end; returns pytest's exit code, 1 where the mutant was seen."""
    if mutant:
        sys.meta_path.insert(0, Finder(mutant))
    told = io.StringIO()
    sys.path.insert(0, str(TESTS))
    with redirect_stdout(told), redirect_stderr(told):
        # its own first, by themselves: most die there, before anything else is read
        code = _tests(tests[:1]) or _tests(tests[1:])
    if mutant is None and code:
        print(told.getvalue(), file=sys.__stdout__, flush=True)
    return 0 if code == 0 else 1


def _tests(tests: list[str]) -> int:
    """Run some tests, up to the first that fails; without `conftest.py`, which reads the phones' rigs."""
    switches = ["-x", "-q", "--noconftest", "-p", "no:cacheprovider", "-p", "no:xdist", "--timeout=0"]
    chosen = ["--hypothesis-profile=mutation", "--hypothesis-seed=0"]
    expected = "-Wignore::pytest.PytestAssertRewriteWarning"
    return int(pytest.main([*switches, *chosen, expected, *tests])) if tests else 0


def start(mutant: Mutant | None, tests: list[str]) -> int:
    """Fork a process that tries a mutant."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
            code = live(mutant, tests)
        finally:
            os._exit(code)
    return pid


def tried(todo: list[Mutant]) -> Iterator[tuple[Mutant, str]]:
    """Try mutants, some at a time; yields each with `killed`, `survived` or `time` when it is over."""
    waiting, running = list(reversed(todo)), {}
    while waiting or running:
        while waiting and len(running) < WORKERS:
            mutant = waiting.pop()
            running[start(mutant, tests_of(mutant.module))] = mutant
        pid, status = os.wait()
        if pid in running:
            yield running.pop(pid), fate_of(status)


def fate_of(status: int) -> str:
    """Say what became of a mutant, by how its process ended."""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGKILL}:
        return "time"
    return "killed" if status else "survived"


# ---- the report


def equivalents() -> dict[str, str]:
    """Return the mutants that nobody could tell from the original, with the reason."""
    lines = (TESTS / "equivalent.txt").read_text().splitlines()
    rows = (line.rpartition(" | ") for line in lines if line and not line.startswith("#"))
    return {name: reason for name, _, reason in rows}


def main(modules: list[str]) -> int:
    settings.register_profile(
        "mutation", deadline=None, database=None, phases=(Phase.explicit, Phase.generate)
    )
    modules = modules or sorted(path.stem for path in CORE.glob("[a-z]*.py"))
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = tempfile.mkdtemp()
    if os.waitpid(start(None, tests_of("media") + tests_of("rules")), 0)[1]:
        print("the tests of core fail as it is")  # noqa: T201
        return 2
    known, found, unmet = equivalents(), Counter(), []
    for mutant, fate in tried([mutant for module in modules for mutant in mutants(module)]):
        expected = fate == "survived" and mutant.name in known
        found[mutant.module, "equivalent" if expected else fate] += 1
        if fate in {"survived", "time"} and not expected:
            print(fate, mutant, flush=True)  # noqa: T201
            unmet.append(mutant)
    for module in modules:
        counts = {fate: found[module, fate] for fate in ("killed", "time", "equivalent", "survived")}
        told = counts["killed"] + counts["time"]
        total = max(1, told + counts["survived"])
        print(f"{module:12} {100 * told / total:5.1f} %", counts)  # noqa: T201
    return int(bool(unmet))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
