"""Who may import whom, who may touch the disk, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from keras_files import dense_h5

import tfjs_codec

PACKAGE = Path(tfjs_codec.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Parts (files or directories of the package) may import those of the lines above them. Those of
# the first line may import each other.
ORDER = (
    "options limits errors outputs progress html resources view __init__",
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
        "files/sink.py", "files/tarball.py", "verification/calibration.py",
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


class Module(NamedTuple):
    """What a module imports and calls; ``running`` imports are not for type checkers only."""

    imports: list[str]
    running: list[str]
    calls: list[ast.Call]


@cache
def module(path: Path) -> Module:
    read = Module([], [], [])
    collect(ast.parse(path.read_text(encoding="utf-8")), read, running=True)
    return read


def collect(tree: ast.AST, found: Module, *, running: bool) -> None:
    """Add what is anywhere in *tree* to *found*, names of packages' members included."""
    for node in ast.iter_child_nodes(tree):
        names = imports(node)
        found.imports.extend(names)
        if running:
            found.running.extend(names)
        if isinstance(node, ast.Call):
            found.calls.append(node)
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        collect(node, found, running=running and not typing)


def imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, "imports are absolute"
        home = node.module or ""
        return [home, *(f"{home}.{alias.name}" for alias in node.names)]
    return []


def test_imports_point_one_way():
    wrong = []
    for path in MODULES:
        name = name_of(path)
        if name == "__init__.py":
            continue  # the public names, imported when they are used
        here = part(name)
        assert here in LAYERS, f"{here} has no place in the order of imports"
        for imported in module(path).running:
            if not imported.startswith("tfjs_codec."):
                continue
            there = imported.split(".")[1]
            if there not in LAYERS or there == here:  # tfjs_codec.__version__
                continue
            if LAYERS[there] >= max(LAYERS[here], 1):
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_no_module_imports_itself_by_way_of_others():
    """Also not for type checkers, nor within functions; ``__init__`` imports names on demand."""
    paths = {path for path in MODULES if name_of(path) != "__init__.py"}
    modules = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in paths
    }
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    needs = {
        name: {needed for needed in module(path).imports if needed in modules} - {name}
        for name, path in modules.items()
    }
    while free := {name for name, others in needs.items() if not others & needs.keys()}:
        needs = {name: others for name, others in needs.items() if name not in free}
    users = set[str]().union(*needs.values())
    while unused := needs.keys() - users:  # what only needs a circle
        needs = {name: others for name, others in needs.items() if name not in unused}
        users = set[str]().union(*needs.values())
    assert not needs


def test_foreign_packages_are_imported_in_one_place():
    wrong = []
    for path in MODULES:
        name = name_of(path)
        for imported in module(path).imports:
            top = imported.split(".")[0]
            if top in NEVER or not name.startswith(ONLY_IN.get(top, "")):
                wrong.append(f"{name} imports {imported}")
    assert wrong == []


def test_only_the_sink_writes():
    wrong = []
    for path in MODULES:
        name = name_of(path)
        if name not in WRITERS:
            wrong += [
                f"{name}:{call.lineno} calls {ast.unparse(call.func)}"
                for call in module(path).calls
                if may_write(call)
            ]
    assert wrong == []


def may_write(call: ast.Call) -> bool:
    """Whether *call* can write to a disk, or runs a text."""
    called = ast.unparse(call.func)
    owner, _, attribute = called.rpartition(".")
    if called in ("exec", "eval", "compile", "__import__"):
        return True
    if called in ("open", "os.fdopen"):
        line = ast.unparse(call)
        return "'rb'" not in line and "os.devnull" not in line
    if owner in WRITING_MODULES or attribute in ("touch", "write_bytes", "write_text"):
        return attribute in WRITING_CALLS
    return False


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
