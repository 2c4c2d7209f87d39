"""Convert damaged models for a while: only the package's own errors may come out.

    python tests/fuzz/run.py [--seconds 300 | --count 1000] [--seed 0] [--keep DIR] PATH...

PATHs are models or directories of them, by default the fixtures. Exits with 1 if anything else
than a ``TfjsCodecError`` escaped or a file took too long; what did it is kept in DIR. A run that
hangs in libhdf5 is ended; the file stays in its temporary directory.
"""

from __future__ import annotations

import argparse
import faulthandler
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutations import mutated_file, seeds

import tfjs_codec
from tfjs_codec.errors import TfjsCodecError

FIXTURES = Path(__file__).parents[2] / "fixtures"
MAX_SECONDS = 5.0  # of the processor
MAX_HANG_SECONDS = 60.0
MAX_SEED_BYTES = 1 << 20


def try_one(source: Path, stage: Path) -> None:
    """Do all that can be done with *source*; only TfjsCodecError may be raised."""
    try:
        with tfjs_codec.load(source) as model:
            for name in model.weights:
                model.weights[name]
    except TfjsCodecError:
        pass
    shutil.rmtree(stage, ignore_errors=True)
    tfjs_codec.convert(source, stage, training_config=True, allow_approximate=True)


def mutant(rng: random.Random, seed: Path, other: bytes, directory: Path) -> Path:
    """Write a damaged copy of *seed* below *directory*; return what to convert."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    alone = seed.suffix in (".h5", ".keras", ".hdf5")
    if alone:
        source = damaged = directory / seed.name
    else:
        top = seed.parent.parent if seed.parent.name == "variables" else seed.parent
        source = directory / top.name
        shutil.copytree(top, source)
        damaged = source / seed.relative_to(top)
        if not (source / "saved_model.pb").exists() and seed.suffix in (".pb", ".index"):
            source = damaged
    damaged.write_bytes(mutated_file(rng, seed.read_bytes(), other))
    return source


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, default=[FIXTURES])
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--count", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-finds"))
    options = parser.parse_args()
    files = [file for file in seeds(options.paths) if file.stat().st_size <= MAX_SEED_BYTES]
    outcomes: Counter[str] = Counter()
    finds = 0
    end = time.monotonic() + options.seconds
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for number in range(options.seed, options.seed + options.count):
            if time.monotonic() > end:
                break
            rng = random.Random(number)
            seed, other = rng.choice(files), rng.choice(files).read_bytes()
            source = mutant(rng, seed, other, work / "in")
            start, trouble = time.process_time(), ""
            faulthandler.dump_traceback_later(MAX_HANG_SECONDS, exit=True)
            try:
                try_one(source, work / "out")
                outcomes["converted"] += 1
            except TfjsCodecError as error:
                str(error)
                outcomes[type(error).__name__] += 1
            except Exception:  # noqa: BLE001  that is what we look for
                trouble = traceback.format_exc()
            if time.process_time() - start > MAX_SECONDS:
                trouble += f"took {time.process_time() - start:.1f} s"
            if trouble:
                finds += 1
                options.keep.mkdir(parents=True, exist_ok=True)
                kept = options.keep / f"{number}-{source.name}"
                (shutil.copytree if source.is_dir() else shutil.copy)(source, kept)
                print(f"--- {number}: {seed} -> {kept}\n{trouble}", file=sys.stderr)
    print(dict(outcomes), f"{finds} finds")
    return 1 if finds else 0


if __name__ == "__main__":
    raise SystemExit(main())
