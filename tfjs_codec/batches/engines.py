"""Where the conversions of a batch run: local processes, a Dask cluster, any executor.

Placement is the engine's business. Ours is what an engine does not know: that a conversion may be
done again, so that what a lost worker or scheduler took along is submitted once more.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import suppress
from typing import Protocol, TypeAlias

from tfjs_codec.batches.task import Answers, Task
from tfjs_codec.errors import RemoteError, UsageError

Tasks: TypeAlias = Sequence[Task]
Work: TypeAlias = Callable[[Tasks], Answers]
_MANY = 10_000  # submitted at a time where an engine spreads them
_CONNECT_S = 10
_AGAIN_S = 1.0


class Engine(Protocol):
    """Something that runs chunks of tasks.

    Attributes:
        window: How many chunks are submitted at a time.
        isolates: Whether the death of a worker takes all submitted chunks along, so that their
            tasks are tried one by one, to find the one that kills.
    """

    window: int
    isolates: bool

    def submit(self, work: Work, tasks: Tasks) -> Future[Answers]:
        """Run *work* with *tasks*."""
        ...

    def renew(self) -> bool:
        """Begin anew after all submitted tasks were lost; False if that cannot be."""
        ...

    def close(self) -> None:
        """Give up what was submitted and is not begun."""
        ...


class LocalEngine:
    """*jobs* processes of this machine, which stay for all tasks: they import us once."""

    isolates = True

    def __init__(self, jobs: int) -> None:
        self.window = 2 * jobs
        self._jobs = jobs
        self._pool = self._start()

    def _start(self) -> ProcessPoolExecutor:
        from multiprocessing import get_context

        # Forking is no choice: drivers of fsspec have threads.
        return ProcessPoolExecutor(self._jobs, get_context("spawn"), initializer=_begin)

    def submit(self, work: Work, tasks: Tasks) -> Future[Answers]:
        """Run *work* with *tasks* in a process."""
        return self._pool.submit(work, tasks)

    def renew(self) -> bool:
        """Start other processes."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._start()
        return True

    def close(self) -> None:
        """Let running conversions end, and the processes with them."""
        self._pool.shutdown(cancel_futures=True)


class ExecutorEngine:
    """An executor of the caller, who also closes it."""

    isolates = False
    window = _MANY

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, work: Work, tasks: Tasks) -> Future[Answers]:
        """Let the executor run *work* with *tasks*."""
        return self._executor.submit(work, tasks)

    def renew(self) -> bool:
        """Return False: only the caller could."""
        return False

    def close(self) -> None:
        """Do nothing."""


class DaskEngine:
    """The cluster whose scheduler is at *address*; after a loss it is waited for *patience_s*."""

    isolates = False
    window = _MANY

    def __init__(self, address: str, patience_s: float = 120) -> None:
        self._address = address
        self._patience_s = patience_s
        self._connect(_CONNECT_S)

    def _connect(self, timeout_s: float) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise UsageError(
                "--dask needs distributed", hint="Install it: pip install 'tfjs_codec[dask]'."
            ) from None
        try:
            self._client = Client(  # type: ignore[no-untyped-call]
                self._address, timeout=timeout_s, set_as_default=False
            )
        except (OSError, TimeoutError) as error:
            raise RemoteError(f"no scheduler answers ({error})", path=self._address) from None
        except ValueError as error:
            raise UsageError(f"not the address of a scheduler ({error})", path=self._address,
                             hint="Write tcp://HOST:8786.") from None  # fmt: skip
        self._executor = self._client.get_executor(pure=False)  # type: ignore[no-untyped-call]

    def submit(self, work: Work, tasks: Tasks) -> Future[Answers]:
        """Let the cluster run *work* with *tasks*."""
        future: Future[Answers] = self._executor.submit(work, tasks)
        return future

    def renew(self) -> bool:
        """Connect again, to the scheduler that comes in the place of the lost one."""
        self.close()
        end = time.monotonic() + self._patience_s
        while time.monotonic() < end:
            with suppress(RemoteError):
                self._connect(_CONNECT_S)
                return True
            time.sleep(_AGAIN_S)
        return False

    def close(self) -> None:
        """Give up what was submitted, and leave the cluster."""
        with suppress(Exception):
            self._client.close(timeout=2)  # type: ignore[no-untyped-call]


def count_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin() -> None:
    """Prepare a local process: Ctrl-C is for the driver, whose end, even by a kill, is its own."""
    from multiprocessing import parent_process

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.join,), daemon=True).start()


def _follow(join: Callable[[], None]) -> None:
    join()
    os._exit(1)
