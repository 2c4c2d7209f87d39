"""Time Keras files as Layers models and as graph models in TensorFlow.js, in turns.

    python tests/bench/target_models.py FOLDER      # with Keras 3
    python tests/bench/targets.py FOLDER [BACKEND]  # wasm by default, or cpu

Prints a row for each model: median milliseconds of processor time for a prediction (one thread).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import tfjs_codec

HERE = Path(__file__).parent


def main(folder: Path, backend: str) -> None:
    print("| model | Layers | graph | graph / Layers |\n| --- | ---: | ---: | ---: |")
    for source in sorted(folder.glob("*.keras")):
        for target in ("layers", "graph"):
            web = folder / f"{source.stem} as {target}"
            tfjs_codec.convert(source, web, to=target, force=True)
        command = ["node", HERE / "time_targets.mjs", HERE.parent / "oracle/node", backend,
                   folder / f"{source.stem} as"]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        layers, graph = map(float, done.stdout.split())
        print(f"| {source.stem} | {layers:.1f} | {graph:.1f} | {graph / layers:.2f} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "wasm")
