"""``batch``: converts many models on an engine, resumes, and says what became of each."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeAlias, cast

from tfjs_codec.batches.engines import Engine
from tfjs_codec.batches.manifest import Item
from tfjs_codec.batches.task import CHUNK_S, Answers, Files, Task, run_tasks
from tfjs_codec.errors import count, visible
from tfjs_codec.files.journal import Journal, read_journal
from tfjs_codec.files.remote import is_url, local, show
from tfjs_codec.html import write_line, write_table
from tfjs_codec.ir.json_types import JsonObject
from tfjs_codec.progress import Progress

JOURNAL = "tfjs_codec-batch.jsonl"
_DEATHS = 3  # of workers at one conversion
_RENEWALS = 5  # of the engine, without a conversion in between
_ROWS = 20  # of the table
_NAME_CHARS = 40


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of one model.

    Attributes:
        name: The name of its destination below that of the batch.
        source: Its source.
        destination: Where it was written.
        status: ``converted``, ``unchanged`` (it was done before), ``failed``, or in a dry run
            ``planned``.
        format: What the source is.
        files: Names and sizes in bytes of the files that were written.
        warnings: Those of the report.
        error: Of what failed: ``type`` and ``text``, and what ``to_json()`` of the error has.
        seconds: What it took in the worker.
        worker: The process that did it, by its number.
        tries: How often it was submitted.
    """

    name: str
    source: str
    destination: str
    status: str
    format: str = ""
    files: Files = ()
    warnings: tuple[str, ...] = ()
    error: JsonObject | None = None
    seconds: float = 0.0
    worker: int = 0
    tries: int = 1

    def to_json(self) -> JsonObject:
        """Return the result as what JSON can express."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of all models.

    Attributes:
        results: In the order in which they were asked for.
        seconds: What all of it took.
    """

    results: tuple[BatchResult, ...]
    seconds: float

    @property
    def failed(self) -> tuple[BatchResult, ...]:
        """Those that failed."""
        return tuple(one for one in self.results if one.status == "failed")

    @property
    def summary(self) -> str:
        """One line: how many models there are, and what became of them."""
        found = Counter(one.status for one in self.results)
        order = ("converted", "planned", "unchanged", "failed")
        told = [f"{found[status]:,} {status}" for status in order if found[status]]
        rate = len(self.results) / max(self.seconds, 1e-9)
        models = count(len(self.results), "model")
        return f"{models}: {', '.join(told)}, in {self.seconds:.1f} s ({rate:.1f} a second)"

    def to_json(self) -> JsonObject:
        """Return the batch as what JSON can express."""
        results = [one.to_json() for one in self.results]
        return {"seconds": self.seconds, "failed": len(self.failed), "results": results}

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return f"<p>{write_line(self.summary)}</p>{write_table(self._rows(), 3)}"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        shown = sorted(self.results, key=lambda one: one.status != "failed")[:_ROWS]
        return [
            ("model", "status", "format", "bytes"),
            *((one.name[-_NAME_CHARS:], one.status, one.format,
               f"{sum(size for _, size in one.files):,}") for one in shown),
        ]  # fmt: skip

    def __str__(self) -> str:
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        more = len(self.results) - len(rows) + 1
        lines += [f"… and {more:,} more"] * (more > 0)
        lines += [
            f"failed: {one.name}: {(one.error or {}).get('text')}" for one in self.failed[:_ROWS]
        ]
        return "\n".join(visible(line, keep="\n") for line in (*lines, self.summary))


def run_batch(
    items: Sequence[Item],
    out: str,
    start: Callable[[], Engine],
    *,
    rules: Sequence[str] = (),
    limits: Mapping[str, int],
    sandbox: bool = False,
    dry: bool = False,
    journal: str | os.PathLike[str] | None = None,
    results: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Batch:
    """Convert *items* to places below *out* on the engine that *start* returns.

    See ``tfjs_codec.batch``.
    """
    began = time.perf_counter()
    out = out if is_url(out) else os.path.abspath(out)
    default = Path(JOURNAL) if is_url(out) else Path(out) / JOURNAL
    with ExitStack() as stack:
        path = default if journal is None else local(journal)
        done = None if dry else stack.enter_context(Journal(path))
        known = {str(line.get("destination")): line for line in read_journal(path)}
        told = None if results is None else stack.enter_context(Journal(local(results), fresh=True))
        common = Task("", "", rules=tuple(map(os.path.abspath, rules)), limits=dict(limits),
                      sandbox=sandbox, dry=dry)  # fmt: skip
        tasks = [_task(item, out, known, common) for item in items]
        engine = start()
        stack.callback(engine.close)
        found: dict[int, BatchResult] = {}
        for answers in _Driver(engine, tasks).run():
            fresh = [(number, tasks[number], answer) for number, answer in answers]
            if done is not None:
                done.append(
                    [_entry(task, answer) for _, task, answer in fresh
                     if answer["status"] == "converted"]
                )  # fmt: skip
            new = {
                number: _result(items[number], task, known.get(show(task.destination), {}) | answer)
                for number, task, answer in fresh
            }
            if told is not None:
                told.append([result.to_json() for result in new.values()])
            found |= new
            if progress is not None:
                progress(len(found), len(tasks))
    ordered = tuple(found[number] for number in range(len(items)))
    return Batch(ordered, round(time.perf_counter() - began, 3))


def _task(item: Item, out: str, known: Mapping[str, JsonObject], common: Task) -> Task:
    destination = f"{out.rstrip('/')}/{item.name}" if is_url(out) else os.path.join(out, item.name)
    entry = known.get(show(destination), {})
    files = cast("list[tuple[str, int]]", entry.get("files", []))
    return replace(
        common, source=item.source, destination=destination, options=item.options,
        replace=dict(item.replace), known=str(entry.get("key", "")),
        files=tuple((str(name), size) for name, size in files),
    )  # fmt: skip


def _entry(task: Task, answer: JsonObject) -> JsonObject:
    """Return the line of the journal that says that *task* is done."""
    kept = {name: answer[name] for name in ("key", "format", "files", "warnings")}
    return {"destination": show(task.destination), "source": show(task.source), **kept}


def _result(item: Item, task: Task, answer: Mapping[str, Any]) -> BatchResult:
    return BatchResult(
        item.name, show(item.source), show(task.destination), answer["status"],
        format=answer.get("format", ""),
        files=tuple((name, size) for name, size in answer.get("files", ())),
        warnings=tuple(answer.get("warnings", ())),
        error=answer.get("error"),
        seconds=answer.get("seconds", 0.0),
        worker=answer.get("worker", 0),
        tries=answer["tries"],
    )  # fmt: skip


_Numbered: TypeAlias = list[tuple[int, JsonObject]]


class _Driver:
    """Submits *tasks* to *engine* in chunks, again where it loses them, a bounded number of times.

    A chunk is to take :data:`CHUNK_S`, by what the last ones took. Chunks become small at the end,
    so that all workers end together, and where the engine takes all at once.
    """

    def __init__(self, engine: Engine, tasks: Sequence[Task]) -> None:
        self._engine = engine
        self._tasks = tasks
        self._tries = [0] * len(tasks)
        self._deaths = [0] * len(tasks)
        self._queue = deque(range(len(tasks)))
        self._suspects: deque[int] = deque()  # submitted when the engine or a worker was lost
        self._alone: int | None = None  # the suspect that is tried
        self._flying: dict[Future[Answers], list[int]] = {}
        self._ready: SimpleQueue[Future[Answers]] = SimpleQueue()
        self._renewals = 0
        self._pace = CHUNK_S  # seconds that a task takes

    def run(self) -> Iterator[_Numbered]:
        """Yield answers by the numbers of the tasks, as they come."""
        while self._queue or self._suspects or self._flying:
            is_lost = not self._submit()
            answers: _Numbered = []
            for future in self._take_ready():
                chunk = self._flying.pop(future)
                try:
                    answers += self._take(chunk, future.result())
                except (CancelledError, BrokenExecutor):
                    is_lost = True
                    self._suspects += chunk
                except Exception as error:  # noqa: BLE001  the engine's own, of a lost worker
                    answers += self._again(chunk, f"{type(error).__name__}: {error}")
            if answers:
                self._renewals = 0
            if is_lost:
                answers += self._renew()
            self._alone = self._alone if self._flying else None
            yield [(number, {**answer, "tries": self._tries[number]}) for number, answer in answers]

    def _take_ready(self) -> list[Future[Answers]]:
        """Return what is ready, once there is something; nothing if nothing is submitted."""
        ready: list[Future[Answers]] = []
        while self._flying and not (ready and self._ready.empty()):
            future = self._ready.get()
            if future in self._flying and future not in ready:  # not of an engine that was lost
                ready.append(future)
        return ready

    def _take(self, chunk: list[int], answers: Answers) -> _Numbered:
        """Return *answers* by the numbers of *chunk*; what was not done in time is to be done."""
        took = sum(cast("float", answer["seconds"]) for answer in answers)
        self._pace = (self._pace + took / len(answers)) / 2
        for number in reversed(chunk[len(answers) :]):
            self._tries[number] -= 1
            self._queue.appendleft(number)
        return list(zip(chunk, answers, strict=False))

    def _submit(self) -> bool:
        """Submit what may be; False if the engine takes nothing any more."""
        while True:
            by_one = self._engine.isolates and bool(self._suspects)
            queue = self._suspects or self._queue
            room = 1 if by_one or self._alone is not None else self._engine.window
            if not queue or len(self._flying) >= room:
                return True
            size = 1 if self._suspects else self._chunk_size()
            chunk = [queue.popleft() for _ in range(size)]
            try:
                future = self._engine.submit(run_tasks, [self._tasks[number] for number in chunk])
            except (BrokenExecutor, CancelledError, RuntimeError, OSError):
                queue.extendleft(reversed(chunk))
                return False
            self._alone = chunk[0] if by_one else None
            for number in chunk:
                self._tries[number] += 1
            self._flying[future] = chunk
            future.add_done_callback(self._ready.put)

    def _chunk_size(self) -> int:
        share = len(self._queue) // self._engine.window
        return max(1, min(int(CHUNK_S / max(self._pace, 1e-9)), share))

    def _renew(self) -> _Numbered:
        """Begin anew after the engine was lost; return what was done, and what is given up."""
        answers: _Numbered = []
        for future, chunk in self._flying.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                answers += self._take(chunk, future.result())
            else:
                self._suspects += chunk
        self._flying.clear()
        self._renewals += 1
        if self._alone is not None and self._alone in self._suspects:  # it killed its process
            self._suspects.remove(self._alone)
            answers += self._again([self._alone], "its process died")
            self._renewals = 0
        if self._renewals > _RENEWALS or not self._engine.renew():
            left = [*self._suspects, *self._queue]
            self._suspects.clear()
            self._queue.clear()
            answers += [(number, _failure("the engine is gone")) for number in left]
        return answers

    def _again(self, chunk: list[int], why: str) -> _Numbered:
        """Try the tasks of *chunk*, whose worker was lost, by themselves; or say that one failed.

        Which one of several killed it is not known, so that only those that were alone count.
        """
        if len(chunk) == 1:
            self._deaths[chunk[0]] += 1
            if self._deaths[chunk[0]] == _DEATHS:
                return [(chunk[0], _failure(f"its worker was lost {_DEATHS} times ({why})"))]
        self._suspects += chunk
        return []


def _failure(text: str) -> JsonObject:
    return {"status": "failed", "error": {"type": "WorkerLost", "text": text}}
