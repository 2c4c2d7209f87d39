"""Conversions of a batch: what a worker is given, does and answers.

A worker is a process of any engine, perhaps on another machine. It skips what is done already: the
*key* of a conversion is a digest of the content of all files it reads, its options and our version.
Files at URLs count by what the store says of them (size, ETag, time), those of a disk by their
bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from tfjs_codec import __version__
from tfjs_codec.errors import TfjsCodecError
from tfjs_codec.files import remote
from tfjs_codec.files.fingerprint import fingerprint
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.limits import DEFAULT_LIMITS, Limits
from tfjs_codec.options import ConvertOptions

if TYPE_CHECKING:
    from tfjs_codec.report import Report

Files: TypeAlias = tuple[tuple[str, int], ...]
Answers: TypeAlias = list[JsonObject]

CHUNK_S = 0.1  # of work in a chunk: the driver and the engine need about 1 ms for one


@dataclass(frozen=True, slots=True)
class Task:
    """A conversion to do. Paths are absolute, so that they mean the same to every process.

    Attributes:
        source: A path or URL.
        destination: Another one.
        options: As keywords of :class:`~tfjs_codec.options.ConvertOptions`.
        replace: Models in the place of layers, by layer name.
        rules: Python files that register rules.
        limits: Those that are not the default.
        sandbox: Work in a child process with limited resources.
        known: The key of the conversion that was done last, "" if there was none.
        files: Names and sizes in bytes of the files that it wrote.
        dry: Only say what would be written.
    """

    source: str
    destination: str
    options: JsonObject = field(default_factory=dict)
    replace: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    sandbox: bool = False
    known: str = ""
    files: Files = ()
    dry: bool = False


def run_tasks(tasks: Sequence[Task]) -> Answers:
    """Do the first of *tasks*, at least one, until it took long enough; return their answers."""
    end = time.monotonic() + 2 * CHUNK_S
    answers: Answers = []
    for task in tasks:
        answers.append(run_task(task))
        if time.monotonic() > end:
            break
    return answers


def run_task(task: Task) -> JsonObject:
    """Do *task*; return the fields of a result.

    These are ``status`` (as in ``BatchResult``), ``seconds`` and ``worker``;
    of what is converted ``key``, ``format``, ``files`` and ``warnings``; of a failure ``error``.
    """
    start = time.perf_counter()
    answer: JsonObject
    try:
        answer = _work(task)
    except TfjsCodecError as error:
        answer = {"status": "failed", "error": {**error.to_json(), "text": str(error)}}
    except OSError as error:
        what = error.strerror or str(error)
        text = f"{error.filename or task.source}: {what}"
        answer = {"status": "failed", "error": {"type": type(error).__name__, "text": text}}
    except Exception as error:  # noqa: BLE001  one bad model does not stop the others
        text = f"{remote.show(task.source)}: internal error: {type(error).__name__}: {error}"
        answer = {"status": "failed", "error": {"type": type(error).__name__, "text": text}}
    return {**answer, "seconds": round(time.perf_counter() - start, 4), "worker": os.getpid()}


def _work(task: Task) -> JsonObject:
    from tfjs_codec.conversion.convert import convert  # here: the driver needs no numpy
    from tfjs_codec.conversion.rules import load
    from tfjs_codec.tracing.registry import local_rules

    limits = Limits(**{**asdict(DEFAULT_LIMITS), **task.limits})
    key = find_key(task, limits)
    if key == task.known and _is_complete(task):
        return {"status": "unchanged"}
    options = ConvertOptions(**cast("dict[str, object]", task.options), limits=limits)  # type: ignore[arg-type]
    work = partial(convert, task.source, task.destination, options, task.replace, dry=task.dry)
    with local_rules():
        load(task.rules)
        report = _run_apart(work, limits) if task.sandbox else work()
    told = report.to_json()
    kept = {name: told[name] for name in ("format", "files", "warnings")}
    return {"status": "planned" if task.dry else "converted", "key": key, **kept}


def _run_apart(work: partial[Report], limits: Limits) -> Report:
    from tfjs_codec.report import Report
    from tfjs_codec.sandbox import run_apart

    report = run_apart(lambda: work().to_json(), limits)
    return Report.from_json(cast("JsonObject", report))


def _is_complete(task: Task) -> bool:
    """Tell whether the files of *task* are there, with their sizes; at a URL the last one."""
    from tfjs_codec.conversion.destinations import find_place

    with suppress(OSError, TfjsCodecError):
        place = find_place(task.destination)
        if isinstance(place, Path):
            base = place if place.is_dir() else place.parent
            return all((base / name).stat().st_size == size for name, size in task.files)
        name, size = task.files[-1]
        single = place.path.endswith(f"/{name}")
        return remote.look(place if single else place.child(name)).size == size
    return False


# --- keys -----------------------------------------------------------------------------------


def find_key(task: Task, limits: Limits = DEFAULT_LIMITS) -> str:
    """Return the key of *task*, in hexadecimal digits.

    Raises:
        InputError, OSError: Its source cannot be looked at.
    """
    architecture = task.options.get("architecture")
    others = [architecture] if isinstance(architecture, str) else []
    sources = (task.source, *others, *task.replace.values(), *task.rules)
    told = {
        "version": __version__,
        "options": {name: task.options[name] for name in sorted(task.options)},
        "replace": sorted(task.replace),
        "limits": dict(sorted(task.limits.items())),
        "content": [fingerprint(source, limits) for source in sources],
    }
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
