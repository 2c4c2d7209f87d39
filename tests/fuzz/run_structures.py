"""Convert mutants of configs, graphs and ``model.json``: only our errors may come out, soon.

    python tests/fuzz/run_structures.py [--kind config] [--count 1000] [--seed 0] [--keep DIR]

Mutant number N of a kind is the same on every run. It may take 2 s of the processor and 64 MiB
above the idle footprint; no warning of numpy may appear, no message be longer than 4,000
characters. Exits with 1 if one did not obey; it is kept in DIR.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import random
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from structures import (
    Recorded,
    graphs,
    mutated_config,
    mutated_graph,
    recorded_models,
)

import tfjs_codec
from tfjs_codec.errors import TfjsCodecError

FIXTURES = Path(__file__).parents[2] / "fixtures"
MAX_SECONDS, MAX_BYTES, MAX_MESSAGE = 2.0, 64 << 20, 4000
MAX_HANG_SECONDS = 60.0
MEMORY = Path("/dev/shm")  # a file system that never writes to a disk
Mutant = tuple[Callable[[Path], object], Any]  # what to do with an output, and what to keep


def targets(rng: random.Random) -> tuple[str, dict[str, Any]]:
    name = rng.choice(("web", "web", "web", "back.keras", "back.h5", "w.npz"))
    quantize = rng.choice(({}, {}, {"uint8": True}, {"float16": True}))
    approximate = bool(rng.randrange(2))
    return name, {"quantize": quantize, "allow_approximate": approximate}


def configs() -> Callable[[random.Random], Mutant]:
    seeds = recorded_models(FIXTURES)

    def make(rng: random.Random) -> Mutant:
        config, layers = rng.choice(seeds)
        text = json.dumps(mutated_config(rng, config))
        model = Recorded(text, layers)
        name, options = targets(rng)
        if rng.randrange(8):
            options.pop("quantize")
            return (lambda _: tfjs_codec.plan(model, name, **options)), text
        return (lambda output: tfjs_codec.convert(model, output / name, **options)), text

    return make


def frozen() -> Callable[[random.Random], Mutant]:
    seeds = graphs(FIXTURES)

    def make(rng: random.Random) -> Mutant:
        message, outputs = rng.choice(seeds)
        data = mutated_graph(rng, message)
        options: dict[str, Any] = {"output_node_names": outputs} if rng.randrange(8) else {}
        if rng.randrange(8) == 0:
            return (lambda output: tfjs_codec.convert(data, output / "web", **options)), data
        if rng.randrange(8) == 0:
            return (lambda _: str(tfjs_codec.inspect(data, **options))), data
        return (lambda _: tfjs_codec.plan(data, "web", **options)), data

    return make


def model_jsons() -> Callable[[random.Random], Mutant]:
    work = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    seeds = []
    for config, layers in recorded_models(FIXTURES)[::3]:
        web = work / str(len(seeds))
        try:
            tfjs_codec.convert(Recorded(json.dumps(config), layers), web, allow_approximate=True)
        except TfjsCodecError:
            continue
        seeds.append((web, json.loads((web / "model.json").read_bytes())))
    for message, outputs in graphs(FIXTURES)[::4]:
        web = work / str(len(seeds))
        data = message.SerializeToString()
        tfjs_codec.convert(data, web, output_node_names=outputs)
        seeds.append((web, json.loads((web / "model.json").read_bytes())))
    for path in sorted((FIXTURES / "tfjs_trained").iterdir()):
        web = Path(shutil.copytree(path, work / path.name))
        seeds.append((web, json.loads((web / "model.json").read_bytes())))

    def make(rng: random.Random) -> Mutant:
        web, content = rng.choice(seeds)
        text = json.dumps(mutated_config(rng, content))
        (web / "model.json").write_text(text)
        kind, (name, options) = rng.randrange(6), targets(rng)
        if kind == 0:
            return (lambda output: tfjs_codec.convert(web, output / name, **options)), text
        if kind == 1:
            return (lambda _: str(tfjs_codec.verify(web))), text
        if kind == 2:
            return (lambda _: str(tfjs_codec.inspect(web))), text
        if kind == 3:
            return (lambda _: str(tfjs_codec.diff(web, web))), text
        return (lambda _: tfjs_codec.plan(web, name)), text

    return make


KINDS = {"config": configs, "graph": frozen, "model_json": model_jsons}


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


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


def search(kind: str, seed: int, count: int, keep: Path) -> Counter[str]:
    make, outcomes, finds = KINDS[kind](), Counter[str](), Counter[str]()
    peak, begin = peak_bytes(), time.monotonic()
    for number in range(seed, seed + count):
        act, kept = make(random.Random(f"{kind} {number}"))
        start, trouble = time.process_time(), ""
        faulthandler.dump_traceback_later(MAX_HANG_SECONDS, exit=True)
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as output:
            try:
                act(Path(output))
                outcomes["none"] += 1
            except TfjsCodecError as error:
                outcomes[type(error).__name__] += 1
                if len(str(error)) > MAX_MESSAGE:
                    trouble = f"message of {len(str(error))} characters: {type(error).__name__}"
            except Exception:  # noqa: BLE001  that is what we look for
                trouble = traceback.format_exc()
        seconds, grown = time.process_time() - start, peak_bytes() - peak
        if seconds > MAX_SECONDS:
            trouble += f"took {seconds:.1f} s"
        if grown > MAX_BYTES:
            trouble += f"took {grown >> 20} MiB"
        if number - seed < 200 or grown > MAX_BYTES:  # the idle footprint, once all is loaded
            peak = peak_bytes()
        if trouble:
            lines = trouble.strip().splitlines()
            where = next((line for line in reversed(lines) if "tfjs_codec/" in line), "")
            finds[f"{where.strip()} {lines[-1][:60]}"] += 1
            if finds[f"{where.strip()} {lines[-1][:60]}"] == 1:
                keep.mkdir(parents=True, exist_ok=True)
                data = kept if isinstance(kept, bytes) else kept.encode()
                (keep / f"{kind}-{number}").write_bytes(data)
                print(f"--- {kind} {number}\n{trouble}", file=sys.stderr)
    faulthandler.cancel_dump_traceback_later()
    rate = count / (time.monotonic() - begin)
    print(kind, f"{seed}..{seed + count - 1}", dict(outcomes), dict(finds), f"{rate:.0f} a second")
    return finds


if __name__ == "__main__":
    raise SystemExit(main())
