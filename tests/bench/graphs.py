"""Our graph models beside the official converter's: nodes, and time in tfjs in Node.

    python tests/bench/graphs.py --tensorflow PYTHON --official PYTHON [--rounds N] [--work DIR]

PYTHON are interpreters with TensorFlow 2.19, keras and tf_keras, and with tensorflowjs 4.22.
Prints a Markdown table: wasm, and the cpu backend where the official model fails on wasm. The two
models of a row take turns, so that both see the same machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
NODE_DIR = HERE.parent / "oracle" / "node"
OFFICIAL = ["-m", "tensorflowjs.converters.converter", "--input_format=tf_saved_model"]
OURS = [sys.executable, "-m", "tfjs_codec", "convert", "--to", "graph"]


def convert(command: list[str], source: Path, target: Path) -> str:
    """Run *command*; returns what it complains about, "" if nothing."""
    done = subprocess.run(
        [*command, str(source), str(target)], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2]


def timed(model: dict, folder: Path, backend: str, rounds: int) -> list[dict]:
    """Return what ``time_graphs.mjs`` says of both."""
    shape = json.dumps(model["shape"])
    sources = [str(folder / f"{model['path']}-{who}") for who in ("ours", "official")]
    script = str(HERE / "time_graphs.mjs")
    done = subprocess.run(
        ["node", script, str(NODE_DIR), backend, str(rounds), shape, *sources],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def row(title: str, ours: dict, official: dict, failed: str) -> str:
    """Return a line of the table."""
    mine = f"| {title} | {ours['nodes']} | {ours['ms']:.1f} "
    if official.get("error"):
        why = failed or official["error"]
        return f"{mine}| – | – | – | official: {why[:80]} |"
    error = max(
        float(np.abs(np.subtract(a, b)).max() / np.abs(b).max())
        for a, b in zip(ours["outputs"], official["outputs"], strict=True)
    )
    ratio = ours["ms"] / official["ms"]
    theirs = f"| {official['nodes']} | {official['ms']:.1f} | {ratio:.2f} "
    return f"{mine}{theirs}| differs by {error:.0e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tensorflow", required=True)
    parser.add_argument("--official", required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--work", type=Path)
    args = parser.parse_args()
    work = args.work or Path(tempfile.mkdtemp())
    work.mkdir(exist_ok=True)
    if not (work / "models.json").exists():
        subprocess.run(
            [args.tensorflow, str(HERE / "graph_models.py"), str(work)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    print("| model | nodes | ms | official: nodes | ms | ours / official | |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for model in json.loads((work / "models.json").read_text()):
        source = work / model["path"]
        wrong = convert(OURS, source, work / f"{model['path']}-ours")
        if wrong:
            print(f"| {model['title']} | {wrong} |")
            continue
        theirs = work / f"{model['path']}-official"
        failed = (
            ""
            if (theirs / "model.json").exists()
            else convert([args.official, *OFFICIAL], source, theirs)
        )
        ours, official = timed(model, work, "wasm", args.rounds)
        print(row(model["title"], ours, official, failed), flush=True)
        if official.get("error") and not failed:
            ours, official = timed(model, work, "cpu", 3)
            if not official.get("error"):
                print(row(f"{model['title']}, cpu backend", ours, official, ""), flush=True)


if __name__ == "__main__":
    main()
