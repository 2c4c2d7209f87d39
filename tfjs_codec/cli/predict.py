"""``tfjs-codec predict``."""

from __future__ import annotations

import argparse
import json

from tfjs_codec.cli import shared
from tfjs_codec.cli.program import say
from tfjs_codec.errors import UsageError

WHAT = "run a model in numpy, without TensorFlow and without tfjs"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    parser.epilog = f"""INPUTS is an .npz file with arrays by the names of the inputs; or JSON:
nested lists for one input, an object of them by name for several. OUTPUTS gets arrays by the names
of the outputs; without it they are printed as JSON.

{shared.EPILOG}"""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model of any format we read")
    add("inputs", metavar="INPUTS", help="an .npz or JSON file; - is standard input")
    add("outputs", metavar="OUTPUTS", nargs="?", default="-", help="an .npz file to write")
    add("--force", action="store_true", help="replace OUTPUTS if it is no .npz file")
    shared.add_reading(parser)


def run(arguments: argparse.Namespace) -> int:
    """Predict, and print or write what the model returns."""
    from tfjs_codec import api
    from tfjs_codec.prediction.files import as_json, read_inputs, write_outputs

    if arguments.model == arguments.inputs == "-":
        raise UsageError("MODEL and INPUTS are both standard input", hint="Name one of them.")
    reading = shared.reading(arguments)
    limits = reading["limits"]
    with api.load(
        shared.source(arguments.model, limits),
        **reading,
    ) as model:
        found = model.predict(read_inputs(shared.source(arguments.inputs, limits), limits))
        if arguments.outputs == "-":
            say(json.dumps(as_json(found)))
            return 0
        if not isinstance(found, dict):
            listed = found if isinstance(found, list) else [found]
            found = dict(zip(model.output_names, listed, strict=True))
        write_outputs(found, arguments.outputs, force=arguments.force)
    if not arguments.quiet:
        shapes = [f"{name} {array.dtype} {list(array.shape)}" for name, array in found.items()]
        say(f"{arguments.outputs}: {', '.join(shapes)}")
    return 0
