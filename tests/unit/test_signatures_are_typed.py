"""No signature at a junction switches the type checker off."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tfjs_codec

PACKAGE = Path(tfjs_codec.__file__).parent
PARTS = ("api.py", "conversion", "ir", "readers", "writers")
# Values whose types a table says at run time: of a layer's config, by its class, and of a node's
# attributes, by its operation.
ALIASES = {"ir/json_types.py: Config", "ir/graph.py: Attrs"}


def modules() -> list[Path]:
    found = [path for part in PARTS for path in (PACKAGE / part, *(PACKAGE / part).rglob("*.py"))]
    return [path for path in found if path.is_file()]


def annotations(tree: ast.Module) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield what the functions of *tree* take and return, its fields and its aliases, by name."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name, args=args, returns=returns):
                given = (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
                yield from ((name, each.annotation) for each in given if each is not None)
                yield name, returns
            case ast.ClassDef(body=body):
                for field in body:
                    if isinstance(field, ast.AnnAssign):
                        yield ast.unparse(field.target), field.annotation
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript() as value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                yield name, annotation
                yield name, value if isinstance(value, ast.Subscript) else None


def names_any(annotation: ast.expr | None) -> bool:
    return annotation is not None and bool(re.search(r"\bAny\b", ast.unparse(annotation)))


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_signature_has_any(path):
    home = path.relative_to(PACKAGE).as_posix()
    found = annotations(ast.parse(path.read_text()))
    assert {f"{home}: {name}" for name, one in found if names_any(one)} <= ALIASES


def test_an_any_is_found():
    source = "A = dict[str, Any]\ndef f(*a: Any): ...\ndef g(b: 'list[Any]') -> typing.Any: ...\n"
    tree = ast.parse(source + "class C:\n  x: list[Any]\n  y: list[int]\n")
    found = [name for name, one in annotations(tree) if names_any(one)]
    assert sorted(found) == ["A", "f", "g", "g", "x"]
