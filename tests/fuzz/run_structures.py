"""Convert mutants of configs, graphs and ``model.json``: all end soon, or blame the file.

    python tests/fuzz/run_structures.py [--kind config] [--count 1000] [--seed 0] [--keep DIR]

Mutant number N of a kind is the same on every run. It may take 2 s of the processor and 64 MiB
above the idle footprint; no warning of numpy may appear, no message be longer than 4,000
characters. Exits with 1 if one did not obey; it is kept in DIR.
"""

from __future__ import annotations

import argparse
import atexit
import faulthandler
import gc
import json
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from structures import (
    Recorded,
    choose,
    graphs,
    mutated_config,
    mutated_graph,
    recorded_models,
    seed,
)

import tfjs_codec
from tfjs_codec.errors import RuleError, TfjsCodecError

FIXTURES = Path(__file__).parents[2] / "fixtures"
MAX_SECONDS, MAX_BYTES, MAX_MESSAGE = 2.0, 64 << 20, 4000
MAX_HANG_SECONDS = 30.0  # of the processor
_WARM_UP = 200  # mutants until all is imported: the idle footprint
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a file system without a disk
Output = Callable[[], Path]  # makes an empty directory
Mutant = tuple[Callable[[Output], object], Any]  # what to do with an output, and what to keep


def targets(rng: random.Random) -> tuple[str, dict[str, Any]]:
    """Return the name of a destination and options for it."""
    name = rng.choice(("web", "web", "web", "graph", "graph", "back.keras", "back.h5",
                       "w.weights.h5", "w.npz"))  # fmt: skip
    options: dict[str, Any] = {"to": "graph"} if name == "graph" else {}
    if name in ("web", "graph"):
        options["quantize"] = rng.choice(({}, {}, {"uint8": True}, {"float16": True}))
    if not name.startswith("w."):
        options["allow_approximate"] = bool(rng.randrange(2))
    return name, options


def configs() -> Callable[[random.Random], Mutant]:
    seeds = recorded_models(FIXTURES)

    def make(rng: random.Random) -> Mutant:
        given = choose(rng, seeds)
        text = json.dumps(mutated_config(rng, given))
        model = Recorded(text, given.source)
        name, options = targets(rng)
        if rng.randrange(6):
            return (lambda _: tfjs_codec.plan(model, name, **options)), text
        return (lambda output: tfjs_codec.convert(model, output() / name, **options)), text

    return make


def frozen() -> Callable[[random.Random], Mutant]:
    seeds = graphs(FIXTURES)

    def make(rng: random.Random) -> Mutant:
        message, outputs = choose(rng, seeds)
        data = mutated_graph(rng, message)
        options: dict[str, Any] = {"output_node_names": outputs} if rng.randrange(8) else {}
        if rng.randrange(8) == 0:
            return (lambda output: tfjs_codec.convert(data, output() / "web", **options)), data
        if rng.randrange(8) == 0:
            return (lambda _: str(tfjs_codec.inspect(data, **options))), data
        return (lambda _: tfjs_codec.plan(data, "web", **options)), data

    return make


def model_jsons() -> Callable[[random.Random], Mutant]:
    work = Path(tempfile.mkdtemp(dir=MEMORY))
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    seeds = []

    def add(web: Path) -> None:
        seeds.append(seed(json.loads((web / "model.json").read_bytes()), web))

    for number, given in enumerate(recorded_models(FIXTURES)[::3]):
        web, model = work / str(number), Recorded(json.dumps(given.tree), given.source)
        with suppress(TfjsCodecError):
            tfjs_codec.convert(model, web, allow_approximate=True)
            add(web)
    for number, (message, outputs) in enumerate(graphs(FIXTURES)[::4]):
        web = work / f"graph{number}"
        tfjs_codec.convert(message.SerializeToString(), web, output_node_names=outputs)
        add(web)
    for path in sorted((FIXTURES / "tfjs_trained").iterdir()):
        add(Path(shutil.copytree(path, work / path.name)))
    seeds.sort(key=lambda each: len(each.leaves))

    def make(rng: random.Random) -> Mutant:
        given = choose(rng, seeds)
        web, text = given.source, json.dumps(mutated_config(rng, given))
        (web / "model.json").write_text(text)
        kind, (name, options) = rng.randrange(8), targets(rng)
        if kind == 0:
            return (lambda output: tfjs_codec.convert(web, output() / name, **options)), text
        if kind == 1:
            return (lambda _: str(tfjs_codec.verify(web))), text
        if kind == 2:
            return (lambda _: str(tfjs_codec.inspect(web))), text
        if kind == 3:
            return (lambda _: str(tfjs_codec.diff(web, web))), text
        if name == "web":
            options = {}  # a model that stays as it is heeds few
        return (lambda _: tfjs_codec.plan(web, name, **options)), text

    return make


KINDS = {"config": configs, "graph": frozen, "model_json": model_jsons}


def peak_bytes() -> int:
    """Return the peak of resident memory since it was last reset."""
    status = Path("/proc/self/status").read_text()
    return int(status[status.index("VmHWM:") + 6 :].split(maxsplit=1)[0]) << 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-finds"))
    options = parser.parse_args()
    warnings.simplefilter("error")
    finds: Counter[str] = Counter()
    for kind in options.kind or KINDS:
        finds.update(search(kind, options.seed, options.count, options.keep))
    return 1 if finds else 0


def search(kind: str, first: int, count: int, keep: Path) -> Counter[str]:
    """Try mutants *first* and so on; return the finds by where they were raised."""
    make, outcomes, finds = KINDS[kind](), Counter[str](), Counter[str]()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    faulthandler.register(signal.SIGPROF, chain=True)  # a hang ends the run, and is shown
    gc.freeze()  # the seeds and modules, which a collection would walk through again and again
    gc.set_threshold(20_000)
    begin = time.monotonic()
    with ExitStack() as outputs:

        def output() -> Path:
            return Path(outputs.enter_context(tempfile.TemporaryDirectory(dir=MEMORY)))

        for number in range(first, first + count):
            act, kept = make(random.Random(f"{kind} {number}"))
            trouble = attempt(act, output, outcomes, strict_memory=number - first > _WARM_UP)
            outputs.close()
            if trouble:
                lines = trouble.strip().splitlines()
                where = next((line for line in reversed(lines) if "tfjs_codec/" in line), "")
                find = f"{where.strip()} {lines[-1][:60]}"
                finds[find] += 1
                if finds[find] == 1:
                    keep.mkdir(parents=True, exist_ok=True)
                    data = kept if isinstance(kept, bytes) else kept.encode()
                    (keep / f"{kind}-{number}").write_bytes(data)
                    print(f"--- {kind} {number}\n{trouble}", file=sys.stderr, flush=True)
    signal.setitimer(signal.ITIMER_PROF, 0)
    rate = count / (time.monotonic() - begin)
    print(
        kind, f"{first}..{first + count - 1}", dict(outcomes), dict(finds), f"{rate:.0f} a second"
    )
    return finds


def attempt(
    act: Callable[[Output], object], output: Output, outcomes: Counter[str], *, strict_memory: bool
) -> str:
    """Do *act*; return what was wrong with how it ended, "" if nothing was."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of earlier mutants
    signal.setitimer(signal.ITIMER_PROF, MAX_HANG_SECONDS)
    before, start, trouble = peak_bytes(), time.process_time(), ""
    try:
        act(output)
        outcomes["none"] += 1
    except TfjsCodecError as error:
        outcomes[type(error).__name__] += 1
        if len(str(error)) > MAX_MESSAGE:
            trouble = f"message of {len(str(error))} characters: {type(error).__name__}"
        if isinstance(error, RuleError):  # all rules here are our own
            trouble = traceback.format_exc()
    except Exception:  # noqa: BLE001  that is what we look for
        trouble = traceback.format_exc()
    seconds, grown = time.process_time() - start, peak_bytes() - before
    if seconds > MAX_SECONDS:
        trouble += f"took {seconds:.1f} s"
    if grown > MAX_BYTES and strict_memory:
        trouble += f"took {grown >> 20} MiB"
    return trouble


if __name__ == "__main__":
    raise SystemExit(main())
