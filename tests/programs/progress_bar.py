"""Show progress, and the plan before it."""

import sys

import tfjs_codec
from tfjs_codec import ConvertOptions, Report


class Bar:
    """Counts calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, done: int, total: int) -> None:
        """Take the bytes done and to do."""
        self.calls += 1
        assert 0 <= done <= total


def convert(source: str, target: str) -> tuple[Report, Report]:
    """Return the plan and the report."""
    options = ConvertOptions(shard_size_bytes=1 << 20, checksums=True)
    plan = tfjs_codec.plan(source, options=options)
    bar = Bar()
    report = tfjs_codec.convert(source, target, options=options, progress=bar)
    assert bar.calls
    return plan, report


if __name__ == "__main__":
    before, after = convert(sys.argv[1], sys.argv[2])
    print(before.weights == after.weights)
