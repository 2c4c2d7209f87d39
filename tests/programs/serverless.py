"""A function of a server: bytes in, a zip of the tfjs model out, no disk."""

import io
import sys
import zipfile
from pathlib import Path

import tfjs_codec


def handle(body: bytes) -> tuple[int, bytes]:
    """Return an HTTP status and a body."""
    try:
        files = tfjs_codec.to_files(body, quantize={"uint8": True})
    except tfjs_codec.errors.InputError as error:
        return 422, str(error).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return 200, packed.getvalue()


if __name__ == "__main__":
    status, answer = handle(Path(sys.argv[1]).read_bytes())
    print(status, len(answer) > 0)
