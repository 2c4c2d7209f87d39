"""List the tensors of a model without reading their values."""

import sys

import tfjs_codec


def list_shapes(path: str) -> dict[str, tuple[int, ...]]:
    """Return shapes by name, largest first."""
    with tfjs_codec.load(path) as model:
        views = sorted(model.tensors.values(), key=lambda view: -view.nbytes)
        rows = views[0][0:1]
        assert rows.shape[1:] == views[0].shape[1:]
        return {view.name: view.shape for view in views}


if __name__ == "__main__":
    for name, shape in list_shapes(sys.argv[1]).items():
        print(name, *shape)
