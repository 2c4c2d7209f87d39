"""Time forms of Keras models in TensorFlow.js, in turns.

    python tests/bench/target_models.py FOLDER             # with Keras 3 and TensorFlow
    python tests/bench/targets.py FOLDER [--backend wasm] [--official CONVERTER] [--only WORD]

The forms are our Layers model and our graph model of ``NAME.keras``, our graph model of the
SavedModel ``NAME`` that ``model.export()`` writes, and the official converter's graph of it, if
``CONVERTER`` (its program ``tensorflowjs_converter``) is given. Prints a row for each model: median
and minimum milliseconds for a prediction: processor time of one thread on wasm and cpu in Node,
wall-clock time on webgl in a headless Chromium. A form that does not convert or run is a dash.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import tfjs_codec
from tfjs_codec.errors import TfjsCodecError

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "oracle"))
FORMS = ("Layers", "graph", "graph of SavedModel", "official graph of SavedModel")
ROUNDS = 13  # the first two are not counted


def convert(source: Path, official: str | None) -> dict[str, Path]:
    """Return the directories of the forms of ``source.keras`` that there are."""
    found = {form: source.parent / f"{source.stem} as {form}" for form in FORMS}
    for form, given, target in (
        (FORMS[0], source, "layers"),
        (FORMS[1], source, "graph"),
        (FORMS[2], source.with_suffix(""), "graph"),
    ):
        with contextlib.suppress(TfjsCodecError, FileNotFoundError):
            tfjs_codec.convert(given, found[form], to=target, force=True)
    if official is not None and not found[FORMS[3]].exists():  # it takes long
        with tempfile.TemporaryDirectory() as scratch:  # the program takes no spaces in paths
            given, made = Path(scratch, "given"), Path(scratch, "made")
            given.symlink_to(source.with_suffix("").resolve())
            command = [official, "--input_format=tf_saved_model", given, made]
            if not subprocess.run(command, check=False, capture_output=True).returncode:
                shutil.move(made, found[FORMS[3]])
    return {form: folder for form, folder in found.items() if folder.exists()}


def in_node(forms: dict[str, Path], backend: str) -> list[Any]:
    command = ["node", HERE / "time_targets.mjs", HERE.parent / "oracle/node", backend,
               str(ROUNDS), *forms.values()]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return list(json.loads(done.stdout))


def in_chromium(forms: dict[str, Path], backend: str) -> list[Any]:
    from playwright.sync_api import sync_playwright
    from tfjs_chromium import CHROMIUM, FLAGS, Site

    site = Site()
    turns = (HERE / "turns.mjs").read_text().replace("export ", "")
    script = f"""async ({{urls, backend, rounds}}) => {{ {turns}
      await tf.setBackend(backend);
      const loaders = urls.map(({{url, layers}}) =>
        () => layers ? tf.loadLayersModel(url) : tf.loadGraphModel(url));
      return await timeInTurns(tf, loaders, rounds, () => performance.now()); }}"""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.goto(f"{site.address}/")
        urls = [{"url": f"{site.add(folder)}/model.json", "layers": form == "Layers"}
                for form, folder in forms.items()]  # fmt: skip
        made = page.evaluate(script, {"urls": urls, "backend": backend, "rounds": ROUNDS})
        browser.close()
    site.shutdown()
    return list(made)


def main(folder: Path, backend: str, official: str | None, only: str) -> None:
    print(f"| {backend} | {' | '.join(FORMS)} |\n| --- |{' ---: |' * len(FORMS)}")
    for source in sorted(folder.glob("*.keras")):
        if only not in source.stem:
            continue
        forms = convert(source, official)
        found = (in_node if backend in ("wasm", "cpu") else in_chromium)(forms, backend)
        cells = dict.fromkeys(FORMS, "—")
        for form, times in zip(forms, found, strict=True):
            if times:
                ordered = sorted(times)
                cells[form] = f"{ordered[len(ordered) // 2]:.1f} ({ordered[0]:.1f})"
        print(f"| {source.stem} | {' | '.join(cells.values())} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backend", default="wasm")
    parser.add_argument("--official")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    main(given.folder, given.backend, given.official, given.only)
