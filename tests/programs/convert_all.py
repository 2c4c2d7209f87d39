"""Convert every model of a folder; tell which failed, and why."""

import sys
from pathlib import Path

import tfjs_codec
from tfjs_codec.errors import TfjsCodecError


def convert_all(folder: Path, target: Path) -> dict[str, str]:
    """Return what failed, by file name."""
    failed: dict[str, str] = {}
    for source in sorted(folder.glob("*.h5")):
        try:
            tfjs_codec.convert(source, target / source.stem)
        except TfjsCodecError as error:
            failed[source.name] = str(error)
    return failed


if __name__ == "__main__":
    for name, why in convert_all(Path(sys.argv[1]), Path(sys.argv[2])).items():
        print(f"{name}: {why}")
