"""Keeps what a learner wrote and passed, in a readable file beside the notebook: `my_work.py`.

    keep(prepare)                # after its checks: stores its source, and the imports that it needs
    prepare = kept("prepare")    # in a later lesson, or after a restart

The file is the learner's own. It is plain Python: read it, edit it, take it along.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import os
import runpy
import symtable
import sys
import textwrap
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

from gryadka.course.checks import check
from gryadka.views.show import show

FILE = "my_work.py"
_OPENING = '"""My work: what I wrote and what passed its checks. Lessons read it by `kept(name)`."""'
_FROM_FILE = "<run_path>"  # the module of what was read back
_MISSING = object()


class _CannotKeep(Exception):
    """The message says why, in a sentence."""


class _Work:
    """The contents of the file: import statements and definitions, each by the name that it binds."""

    def __init__(self, text: str) -> None:
        self.imports: dict[str, str] = {}
        self.parts: dict[str, str] = {}
        self._adding: set[str] = set()
        lines, start = text.splitlines(), 0
        for node in ast.parse(text).body:
            source = "\n".join(lines[start : node.end_lineno]).strip("\n")
            start = node.end_lineno or start
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    of_one: ast.stmt = ast.Import([alias])
                    if isinstance(node, ast.ImportFrom):
                        of_one = ast.ImportFrom(node.module, [alias], node.level)
                    self.imports[alias.asname or alias.name] = ast.unparse(of_one)
            elif source != _OPENING:
                self.parts[_name_of(node)] = source

    def __str__(self) -> str:
        imports = "\n".join(sorted(self.imports.values()))
        return "\n\n\n".join(filter(None, [_OPENING, imports, *self.parts.values()])) + "\n"

    def add_import(self, name: str, statement: str) -> None:
        if name in self.parts or self.imports.get(name, statement) != statement:
            raise _CannotKeep(f"{FILE} has something else that is called {name}; rename one of the two")
        self.imports[name] = statement

    def add_part(self, name: str, source: str) -> None:
        if name in self.imports:
            raise _CannotKeep(f"{FILE} imports something else that is called {name}; rename yours")
        self.parts[name] = source

    def add_function(self, thing: Any) -> None:
        """Add the source of a function or a class of the notebook, and all that it uses from there."""
        if not (inspect.isfunction(thing) or inspect.isclass(thing)):
            raise _CannotKeep(f"{thing!r} is not a function or a class")
        name = thing.__name__
        if name in self._adding or (name in self.parts and thing.__module__ == _FROM_FILE):
            return
        self._adding.add(name)
        source, namespace = _source_of(thing)
        for used in sorted(set(_globals_of(source)) - {name}):
            if used in namespace:
                self._add_used(name, used, namespace[used])
            elif not hasattr(builtins, used):
                raise _CannotKeep(f"{name} uses {used}, which is not defined")
        self.add_part(name, source)

    def _add_used(self, user: str, name: str, thing: Any) -> None:
        if isinstance(thing, ModuleType):
            self.add_import(name, f"import {thing.__name__}" + (f" as {name}" if name != thing.__name__ else ""))
        elif module := _home_of(name, thing):
            original = getattr(thing, "__name__", name)
            self.add_import(name, f"from {module} import {original}" + (f" as {name}" if name != original else ""))
        elif inspect.isfunction(thing) or inspect.isclass(thing):
            self.add_function(thing)
            if name != thing.__name__:
                self.add_part(name, f"{name} = {thing.__name__}")
        elif _is_literal(thing):
            self.add_part(name, f"{name} = {thing!r}")
        else:
            raise _CannotKeep(f"{user} uses {name}, which cannot be written down; hand it over as an argument")


def keep(*functions: Callable[..., Any], **texts: str) -> None:
    """Store these functions, and texts by name, in `my_work.py`, if the checks since the last `keep` held.

    Something of the same name is replaced. It never raises: what stands in the way is said in a sentence.
    """
    results = check.settle()
    names = ", ".join([*(getattr(function, "__name__", "?") for function in functions), *texts])
    try:
        if not results:
            raise _CannotKeep("run its checks first")
        if missing := [result.sentence for result in results if not result.holds]:
            raise _CannotKeep(f"{len(missing)} of {len(results)} checks do not hold yet")
        work = _load()
        for function in functions:
            work.add_function(function)
        for name, text in texts.items():
            work.add_part(name, f'{name} = r"""{text}"""' if _fits_raw(text) else f"{name} = {text!r}")
        _store(str(work))
    except (_CannotKeep, OSError, TypeError) as error:
        _say(f"Not kept: {names}. Reason: {error}.")
    else:
        _say(f"Kept in {FILE}: {names}.")


def kept(name: str, otherwise: Any = None) -> Any:
    """Return the function or text that was kept under `name`, or `otherwise` if none was.

    With an `otherwise` that is not None, a line says which of the two it is.
    """
    found = None
    try:
        if Path(FILE).exists():
            found = runpy.run_path(FILE).get(name)
    except Exception as error:  # the learner may have edited the file, and broken it in any way
        _say(f"{FILE} cannot be read, mend or rename it: {type(error).__name__}: {error}.")
    if otherwise is not None:
        _say(f"Using your own {name}, from {FILE}." if found else f"Using the course's {name}: yours is not kept yet.")
    return otherwise if found is None else found


def _say(sentence: str) -> None:
    show(sentence, f"<div>{escape(sentence)}</div>")


def _load() -> _Work:
    path = Path(FILE)
    try:
        return _Work(path.read_text(encoding="utf-8") if path.exists() else "")
    except (SyntaxError, ValueError) as error:
        raise _CannotKeep(f"{FILE} cannot be read, mend or rename it: {error}") from error


def _store(text: str) -> None:
    # Under another name first, so that a crash leaves the old file or the new one, never half of one.
    half = Path(FILE + ".new")
    half.write_text(text, encoding="utf-8")
    try:
        runpy.run_path(str(half))
    except Exception as error:
        raise _CannotKeep(f"on its own it does not run: {type(error).__name__}: {error}") from error
    os.replace(half, FILE)


def _name_of(node: ast.stmt) -> str:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return f"line {node.lineno}"


def _source_of(thing: Any) -> tuple[str, dict[str, Any]]:
    # The source of a function or a class, and the module's names that it can use.
    if not isinstance(thing, type):
        if thing.__name__ == "<lambda>":
            raise _CannotKeep("a lambda has no name to keep it under; write it with def")
        if thing.__closure__:
            raise _CannotKeep(f"{thing.__name__} uses variables of another function; define it on its own")
        return textwrap.dedent(inspect.getsource(thing)).rstrip(), thing.__globals__
    # Python does not know where a notebook's class was written, but of its methods it does.
    for method in filter(inspect.isfunction, vars(thing).values()):
        text = "".join(linecache.getlines(method.__code__.co_filename))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef) and node.name == thing.__name__:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                return "\n".join(text.splitlines()[first - 1 : node.end_lineno]), method.__globals__
    raise _CannotKeep(f"the source of {thing.__name__} cannot be found; give it a method")


def _globals_of(source: str) -> Iterator[str]:
    # The names that a definition takes from its module: in its body, defaults, decorators, annotations.
    module = symtable.symtable(source, FILE, "exec")
    waiting: list[symtable.SymbolTable] = [module]
    while waiting:
        table = waiting.pop()
        waiting += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (table is module or symbol.is_global()):
                yield symbol.get_name()


def _home_of(name: str, thing: Any) -> str | None:
    # The module that `thing` can be imported from under its own name: its own, or one of ours for a constant.
    original = getattr(thing, "__name__", name)
    own = getattr(thing, "__module__", None)
    ours = sorted(module for module in sys.modules if module.startswith("gryadka."))
    for module in [own, *ours]:
        if module in (None, "__main__", _FROM_FILE):
            continue
        if getattr(sys.modules.get(module), original, _MISSING) is thing:
            return str(module)
    return None


def _is_literal(thing: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(thing)) == thing)
    except (ValueError, SyntaxError):
        return False


def _fits_raw(text: str) -> bool:
    return '"""' not in text and "\r" not in text and not text.endswith(('"', "\\"))
