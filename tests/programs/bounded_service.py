"""Convert what strangers upload: tight limits, and a child process."""

import sys

import tfjs_codec
from tfjs_codec import Limits
from tfjs_codec.errors import LimitExceededError, UnsafeFileError

LIMITS = Limits(total_bytes=64 << 20, layers=500, sandbox_seconds=20)


def convert(source: str, target: str) -> str:
    """Return what to tell the stranger."""
    try:
        tfjs_codec.convert(source, target, limits=LIMITS, sandbox=True)
    except LimitExceededError as error:
        return f"too large: {error.what}"
    except UnsafeFileError as error:
        return f"refused: {error.what}"
    return "done"


if __name__ == "__main__":
    print(convert(sys.argv[1], sys.argv[2]))
