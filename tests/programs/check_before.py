"""Ask whether a model will convert before it is trained for days."""

import sys

import tfjs_codec


def will_convert(path: str) -> bool:
    """Print the problems of the model at *path*."""
    found = tfjs_codec.inspect(path)
    for problem in found.problems:
        print(f"{problem.layer} ({problem.class_name}): {problem.reason}. {problem.hint}")
    return found.target in ("layers", "graph")


if __name__ == "__main__":
    print("yes" if will_convert(sys.argv[1]) else "no")
