"""``tfjs-codec batch``."""

from __future__ import annotations

import argparse
import sys
import time

from tfjs_codec.cli import convert, shared

WHAT = "convert many models, on several processes or a cluster, and go on where it was stopped"

_EPILOG = """MODELS are paths, URLs, patterns in quotes ('models/**/*.keras'), and manifests:
JSON Lines (.jsonl) or CSV (.csv) with the columns source, name, and the options of a conversion as
Python spells them.

exit codes: 0 all models are done, 1 at least one failed, otherwise as for all commands:
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    parser.epilog = f"{_EPILOG}{shared.EPILOG}"
    add = parser.add_argument
    add("models", metavar="MODELS", nargs="+", help="models, patterns or manifests")
    add(
        "--out", metavar="DIR", required=True, help="the directory, or its URL, to write them below"
    )
    add("--jobs", metavar="N", type=int, help="processes (default: one for each processor)")
    add(
        "--dask",
        metavar="ADDRESS",
        help="run on the Dask cluster of the scheduler at tcp://HOST:PORT",
    )
    add("--journal", metavar="FILE", help="what is done (default: tfjs_codec-batch.jsonl in DIR)")
    add("--results", metavar="FILE", help="write a line of JSON for each model")
    convert.add_choices(parser)


def run(arguments: argparse.Namespace) -> int:
    """Convert, print a table, and return 1 if a model failed."""
    from tfjs_codec import api

    options = convert.options_of(arguments)
    choices = {name: getattr(options, name) for name in options.chosen}
    show = sys.stderr.isatty() and not arguments.quiet
    done = api.batch(
        arguments.models, arguments.out, jobs=arguments.jobs, dask=arguments.dask,
        journal=arguments.journal, results=arguments.results, rules=arguments.rules,
        replace=dict(shared.pairs(arguments.replace)), sandbox=arguments.sandbox,
        progress=_Progress() if show else None, **choices,
    )  # fmt: skip
    shared.show(done, arguments)
    return 1 if done.failed else 0


class _Progress:
    """A line on standard error: models done, models a second, time left."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        spent = time.monotonic() - self._start
        left = spent * (total - done) / max(done, 1)
        text = f"{done:,} of {total:,} models, {done / max(spent, 1e-9):.1f} a second"
        text += f", {left:.0f} s left" if done < total else " " * 12
        print(f"\r{text}", end="\n" if done >= total else "", file=sys.stderr, flush=True)
