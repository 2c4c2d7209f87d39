"""A ``model.json`` with values exchanged: whatever it says, only documented errors come of it."""

from __future__ import annotations

import copy
import json
import random
from contextlib import ExitStack, suppress

import pytest

import tfjs_codec
from tfjs_codec.errors import TfjsCodecError
from tfjs_codec.options import ConvertOptions
from tfjs_codec.preview.facts import collect
from tfjs_codec.preview.page import write_page
from tfjs_codec.preview.running import prepare_running

ODD = (
    None, True, -1, 0, 2**31, 10**60, 1.5, "", "x", "\x1b[0m", "../x", "float32", "uint8", [], [[]],
    [None], {}, {"a": 1}, ["a", 0, 0], [["a", 0, 0, {}]],
)  # fmt: skip
CASES = ("savedmodel_tf2.15_nested", "savedmodel_tf2.15_recurrent", "savedmodel_tf2.19_module")


def places(value):
    """Yield (container, key) of everything in *value*."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


def mutated(content, rng):
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        everywhere = list(places(content))
        container, key = rng.choice(everywhere)
        choice = rng.random()
        if choice < 0.6:
            container[key] = copy.deepcopy(rng.choice(ODD))
        elif choice < 0.8:
            del container[key]
        else:
            other, other_key = rng.choice(everywhere)
            container[key] = copy.deepcopy(other[other_key])
        if not content:
            break
    return content


@pytest.mark.parametrize("case", CASES)
def test_reports_of_mutated_models(fixtures_dir, tmp_path, case):
    rng = random.Random(case)
    whole, web = tmp_path / "whole", tmp_path / "web"
    tfjs_codec.convert(
        fixtures_dir / case / "model", whole, checksums=True, quantize={"uint8": "*/kernel"}
    )
    tfjs_codec.convert(whole, web)
    content = json.loads((whole / "model.json").read_text())
    passed = 0
    for _ in range(60):
        (web / "model.json").write_text(json.dumps(mutated(content, rng)))
        for report in (
            lambda: tfjs_codec.inspect(web),
            lambda: tfjs_codec.verify(web, whole),
            lambda: tfjs_codec.diff(web, whole),
        ):
            try:
                found = report()
            except TfjsCodecError as error:
                text = str(error)
            else:
                text = str(found)
                json.dumps(found.to_json(), allow_nan=False)
                passed += 1
            assert all(char.isprintable() or char == "\n" for char in text)
    assert passed


@pytest.mark.parametrize("to", ["layers", "graph"])
def test_pages_of_mutated_models(fixtures_dir, to):
    rng = random.Random(to)
    files = tfjs_codec.to_files(fixtures_dir / "savedmodel_tf2.15_nested" / "model", to=to)
    content = json.loads(files["model.json"])
    options = ConvertOptions(allow_approximate=True)
    shown = 0
    for _ in range(60):
        source = {**files, "model.json": json.dumps(mutated(content, rng)).encode()}
        with suppress(TfjsCodecError), ExitStack() as stack:
            facts = collect(source, options)
            prepared = prepare_running(source, options.begin(), stack)
            shown += "</html>" in write_page(facts, prepared and prepared.running).html
    assert shown
