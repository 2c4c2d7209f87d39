"""``tfjs-codec preview``."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from tfjs_codec.cli import shared
from tfjs_codec.cli.program import say
from tfjs_codec.cli.progress import show_progress
from tfjs_codec.errors import UsageError

if TYPE_CHECKING:
    from tfjs_codec.ir.json_types import JsonObject
    from tfjs_codec.options import ConvertOptions

WHAT = "show a model in the browser, and run it there on every backend"
_EXAMPLES = """examples:
  tfjs-codec preview web/                            a tfjs model, with a box that runs it
  tfjs-codec preview web/ --against model.keras      with the errors of quantised weights
  tfjs-codec preview web/ --tfjs node_modules        offline, with the tfjs that is installed
  tfjs-codec preview model.keras                     what a source holds, and would become
  tfjs-codec preview web/ --export-html report.html  one file that needs no server"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments and options of the command."""
    parser.epilog = f"{_EXAMPLES}\n\n{shared.EPILOG}"
    add = parser.add_argument
    add("source", metavar="MODEL", help="a model of any format we read; - is standard input")
    add("--against", metavar="SRC", help="what the tfjs model was made of, to compare values with")
    add("--inputs", metavar="NPZ", help="recorded inputs in0, … and outputs out0, … to run it with")
    add("--tfjs", metavar="DIR|URL", help="the npm package @tensorflow/tfjs (default: of a CDN)")
    add("--port", metavar="N", type=int, default=0, help="where to serve (default: any free port)")
    add("--no-open", action="store_true", help="do not open the page in a browser")
    add("--export-html", metavar="FILE", help="write the page into FILE, without the box")
    add("--force", action="store_true", help="replace FILE if it is no page of ours")
    shared.add_reading(parser)
    add("--outputs", metavar="NAMES", help="the layers of SRC whose outputs a graph model returns")
    shared.add_changes(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the page, or write it."""
    from tfjs_codec.options import ConvertOptions
    from tfjs_codec.preview.facts import collect

    if arguments.sandbox and not arguments.export_html:
        raise UsageError("a server cannot work in the sandbox", hint="Add --export-html FILE.")
    if not 0 <= arguments.port < 1 << 16:
        raise UsageError(f"--port: there is no port {arguments.port}")
    options = ConvertOptions(
        **shared.reading(arguments),
        outputs=shared.split_names(arguments.outputs),
        rename=arguments.rename,
        allow_approximate=True,
    )
    source = shared.source(arguments.source, options.limits)
    facts = collect(
        source,
        options,
        against=arguments.against,
        replacements=arguments.replace,
        progress=show_progress("reading", arguments),
    )
    if not arguments.export_html:
        return serve(source, facts, options, arguments)
    _export(facts, arguments)
    return 0


def _export(facts: JsonObject, arguments: argparse.Namespace) -> None:
    from pathlib import Path

    from tfjs_codec.files.sink import check_file_destination, write_file
    from tfjs_codec.preview.page import START, write_page

    path = Path(arguments.export_html)
    target = check_file_destination(path, (START.encode(),), force=arguments.force)
    html = write_page(facts).html.encode()
    write_file(target, html)
    if arguments.json:
        say(json.dumps({"file": str(path), "nbytes": len(html)}))
    elif not arguments.quiet:
        say(f"{path}: {len(html):,} bytes")


def serve(
    source: str | bytes,
    facts: JsonObject,
    options: ConvertOptions,
    arguments: argparse.Namespace,
) -> int:
    """Serve the page of *facts*, which are those of *source*, until Ctrl-C."""
    import webbrowser

    from tfjs_codec.preview.page import write_page
    from tfjs_codec.preview.running import prepare_running
    from tfjs_codec.preview.server import Server

    given = vars(arguments)
    with ExitStack() as stack:
        prepared = prepare_running(
            source,
            options.begin(),
            stack,
            tfjs=given.get("tfjs"),
            recorded=given.get("inputs"),
        )
        if prepared is None and (given.get("tfjs") or given.get("inputs")):
            raise UsageError("--tfjs and --inputs are for tfjs models, which a page can run")
        page = write_page(facts, prepared and prepared.running)
        server = stack.enter_context(
            Server(page, prepared.files if prepared else {}, given.get("port", 0))
        )
        if arguments.json:
            say(json.dumps({"url": server.address}))
        else:
            say(f"{server.address} shows it; Ctrl-C ends this")
        sys.stdout.flush()
        if not given.get("no_open"):
            webbrowser.open(server.address)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0
