"""Who may import whom, who may touch the disk, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from keras_files import dense_h5

import tfjs_codec

PACKAGE = Path(tfjs_codec.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Parts (files or directories of the package) may import those of the lines above them. Those of
# the first line may import each other.
ORDER = (
    "options limits errors outputs progress html view __init__",
    "ir",
    "pb",
    "files",
    "keras tfjs",
    "readers tracing",
    "layers operations back graph writers",
    "quantization report sandbox supported snippet",
    "conversion",
    "inspection comparison prediction batches",
    "verification",
    "bundling preview loaded_model",
    "api",
    "cli",
    "__main__ compat",
)
LAYERS = {part: number for number, line in enumerate(ORDER) for part in line.split()}
ONLY_IN = {
    "h5py": "files/", "fsspec": "files/remote.py",
    "distributed": "batches/engines.py", "google": "pb/", "tensorflow": "-", "keras": "-",
    "tempfile": (
        "files/sink.py", "files/tarball.py",
        "compat/tensorflowjs/converters/keras_tfjs_loader.py",
    ),
}  # fmt: skip
# Results; a private copy; what batches have done.
WRITERS = {
    "files/sink.py", "files/stage.py", "files/publish.py", "files/tarball.py", "files/journal.py",
}  # fmt: skip
NEVER = {"pickle", "marshal", "shelve", "runpy", "code", "codeop", "mmap", "socket"}
WRITING_CALLS = {
    "copy", "copy2", "copyfile", "copymode", "link", "makedirs", "mkdir", "remove", "rename",
    "replace", "rmdir", "rmtree", "symlink", "touch", "truncate", "unlink", "write_bytes",
    "write_text",
}  # fmt: skip
WRITING_MODULES = {"os", "shutil"}
HEAVY = {
    "numpy",
    "h5py",
    "google.protobuf",
    "tensorflow",
    "fsspec",
    "asyncio",
    "ctypes",
    "distributed",
}


def part(module: str) -> str:
    return module.partition("/")[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield all modules that are imported anywhere, names of packages' members included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def run_imports(tree: ast.AST) -> Iterator[str]:
    """As :func:`imports`, without what is imported for type checkers only."""
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    yield from imports(ast.Module([n for n in ast.walk(tree) if is_import(n) and n not in skipped]))


def is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def parsed(path: Path) -> ast.AST:
    return ast.parse(path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_one_way(path):
    name = name_of(path)
    if name == "__init__.py":
        return  # the public names, imported when they are used
    here = part(name)
    assert here in LAYERS, f"{here} has no place in the order of imports"
    for module in run_imports(parsed(path)):
        if not module.startswith("tfjs_codec."):
            continue
        there = module.split(".")[1]
        if there not in LAYERS or there == here:  # tfjs_codec.__version__
            continue
        assert LAYERS[there] < max(LAYERS[here], 1), f"{name} imports {module}"


def test_no_module_imports_itself_by_way_of_others():
    """Also not for type checkers, nor within functions; ``__init__`` imports names on demand."""
    paths = {path for path in MODULES if name_of(path) != "__init__.py"}
    modules = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in paths
    }
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    needs = {
        name: {module for module in imports(parsed(path)) if module in modules} - {name}
        for name, path in modules.items()
    }
    while free := {name for name, others in needs.items() if not others & needs.keys()}:
        needs = {name: others for name, others in needs.items() if name not in free}
    users = set[str]().union(*needs.values())
    while unused := needs.keys() - users:  # what only needs a circle
        needs = {name: others for name, others in needs.items() if name not in unused}
        users = set[str]().union(*needs.values())
    assert not needs


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_foreign_packages_are_imported_in_one_place(path):
    name = name_of(path)
    for module in imports(parsed(path)):
        top = module.split(".")[0]
        assert top not in NEVER, f"{name} imports {module}"
        home = ONLY_IN.get(top)
        assert home is None or name.startswith(home), f"{name} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_sink_writes(path):
    name = name_of(path)
    if name in WRITERS:
        return
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        owner, _, attribute = called.rpartition(".")
        if called in ("exec", "eval", "compile", "__import__"):
            raise AssertionError(f"{name}:{node.lineno} calls {called}")
        if called in ("open", "os.fdopen"):
            harmless = "'rb'" in ast.unparse(node) or "os.devnull" in ast.unparse(node)
            assert harmless, f"{name}:{node.lineno} opens a file"
        if owner in WRITING_MODULES or attribute in ("touch", "write_bytes", "write_text"):
            assert attribute not in WRITING_CALLS, f"{name}:{node.lineno} calls {called}"


def loaded_after(code: str) -> set[str]:
    """The modules a fresh interpreter has loaded after *code*."""
    code += "\nimport sys; print(*sys.modules, sep='\\n', file=sys.__stderr__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["convert", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    code = f"from tfjs_codec.cli.main import main\ntry: main({arguments})\nexcept SystemExit: pass"
    assert not loaded_after(code) & HEAVY


def test_importing_the_package_loads_no_module_of_it():
    loaded = loaded_after("import tfjs_codec; tfjs_codec.__version__; dir(tfjs_codec)")
    assert {name for name in loaded if name.startswith("tfjs_codec")} == {"tfjs_codec"}
    assert not loaded & HEAVY


def test_converting_an_hdf5_file_needs_no_protobuf(tmp_path):
    file = tmp_path / "m.h5"
    file.write_bytes(dense_h5())
    paths = f"{str(file)!r}, {str(tmp_path / 'out')!r}"
    loaded = loaded_after(f"import tfjs_codec; tfjs_codec.convert({paths})")
    assert "h5py" in loaded
    assert not loaded & {"google.protobuf", "fsspec", "asyncio"}


def test_the_public_names():
    assert dir(tfjs_codec) == tfjs_codec.__all__
    for name in tfjs_codec.__all__:
        assert getattr(tfjs_codec, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = tfjs_codec.nonsense
