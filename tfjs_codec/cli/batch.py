"""``tfjs-codec batch``."""

from __future__ import annotations

import argparse

from tfjs_codec.cli import convert, shared
from tfjs_codec.cli.progress import show_progress

WHAT = "convert many models, on several processes or a cluster, and go on where it was stopped"

_EPILOG = """MODELS are paths, URLs, patterns in quotes ('models/**/*.keras'), and manifests:
JSON Lines (.jsonl) or CSV (.csv) with the columns source, name, and the options of a conversion as
Python spells them; - is a manifest on standard input.

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
    add("--dry-run", action="store_true", help="say what would be done and write nothing")
    add("--journal", metavar="FILE", help="what is done (default: tfjs_codec-batch.jsonl in DIR)")
    add("--results", metavar="FILE", help="write a line of JSON for each model")
    convert.add_choices(parser)


def run(arguments: argparse.Namespace) -> int:
    """Convert, print a table, and return 1 if a model failed."""
    from tfjs_codec import api

    options = convert.options_of(arguments)
    choices = {name: getattr(options, name) for name in options.chosen}
    models = [shared.source(text, options.limits) for text in arguments.models]
    done = api.batch(
        models, arguments.out, jobs=arguments.jobs, dask=arguments.dask,
        journal=arguments.journal, results=arguments.results, rules=arguments.rules,
        replace=arguments.replace, sandbox=arguments.sandbox,
        dry_run=arguments.dry_run, progress=show_progress("converting", arguments, "models"),
        **choices,
    )  # fmt: skip
    shared.show(done, arguments)
    return 1 if done.failed else 0
