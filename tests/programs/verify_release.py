"""Gate a release on a verification of what will be published."""

import sys

import tfjs_codec
from tfjs_codec import Verification
from tfjs_codec.errors import VerificationError


def gate(web: str, source: str) -> int:
    """Return an exit code."""
    try:
        found: Verification = tfjs_codec.verify(web, source, samples=3)
    except VerificationError as error:
        print(*error.failures, sep="\n")
        return 1
    print(*found.checks, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(gate(sys.argv[1], sys.argv[2]))
