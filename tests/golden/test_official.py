"""Our weight files hold the bytes of the official converter's, where its output is right.

``fixtures/official.zip`` (``fixtures/make/official.py``) holds what tensorflowjs 4.22 made of Keras
2 fixtures. It differs from ours in two ways that tfjs does not see: it puts layers in alphabetical
order, we keep the model's; and it names a recurrent layer's weights with the cell,
``lstm/lstm_cell/kernel``, which tfjs calls ``lstm/kernel`` and looks up under both names.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable

import numpy as np
import pytest

import tfjs_codec

SOURCE = "tf_keras-2.19.h5"
QUANTISATIONS = {
    "none": {},
    "float16": {"float16": "*"},
    "uint8": {"uint8": "*"},
    "uint16": {"uint16": "*"},
}
SAME_ORDER = [
    "batch_normalization",
    "conv_lstm",
    "dense_rank",
    "fixed_batch",
    "nested_twice",
    "reshaping",
    "sequential_first_shape",
    "sequential_input",
    "sequential_no_input",
    "shared_layers",
    "time_distributed",
    "transfer_learning",
]
OTHER_ORDER = [
    "bidirectional",
    "embedding",
    "lstm",
    "multi_input_output",
    "nested_sequential_output",
    "nested_two_levels",
    "open_sizes",
    "recurrent_state",
    "simple_rnn",
    "unet",
]


def read_weights(read: Callable[[str], bytes]) -> dict[str, tuple[dict, bytes]]:
    """Return each weight's manifest entry, without its name, and its bytes, in file order."""
    weights = {}
    for group in json.loads(read("model.json"))["weightsManifest"]:
        data = b"".join(map(read, group["paths"]))
        start = 0
        for entry in group["weights"]:
            stored = np.dtype(entry.get("quantization", entry)["dtype"])
            stop = start + stored.itemsize * int(np.prod(entry["shape"], dtype=int))
            name = re.sub(r"/\w+_cell/(?=\w+$)", "/", entry.pop("name"))
            weights[name] = entry, data[start:stop]
            start = stop
        assert start == len(data)
    return weights


# Layers that become several: their own weights are the official ones, constants join them.
LOWERED = ["masked_embedding"]


@pytest.mark.parametrize("quantisation", QUANTISATIONS)
@pytest.mark.parametrize("case", LOWERED)
def test_lowered_layers_keep_their_weights(case, quantisation, fixtures_dir, tmp_path):
    with zipfile.ZipFile(fixtures_dir / "keras" / f"{case}.zip") as archive:
        source = archive.extract(SOURCE, tmp_path)
    ours = tmp_path / "web"
    tfjs_codec.convert(source, ours, quantize=QUANTISATIONS[quantisation])
    with zipfile.ZipFile(fixtures_dir / "official.zip") as archive:
        folder = zipfile.Path(archive, f"{case}/{quantisation}/")
        expected = read_weights(lambda name: (folder / name).read_bytes())
    found = {
        re.sub(r"/lstm/(?=\w+$)", "/", name): weight
        for name, weight in read_weights(lambda name: (ours / name).read_bytes()).items()
    }
    assert len(expected) > 1
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("quantisation", QUANTISATIONS)
@pytest.mark.parametrize("case", SAME_ORDER + OTHER_ORDER)
def test_same_weights(case, quantisation, fixtures_dir, tmp_path):
    with zipfile.ZipFile(fixtures_dir / "keras" / f"{case}.zip") as archive:
        source = archive.extract(SOURCE, tmp_path)
    ours = tmp_path / "web"
    tfjs_codec.convert(source, ours, quantize=QUANTISATIONS[quantisation])
    with zipfile.ZipFile(fixtures_dir / "official.zip") as archive:
        folder = zipfile.Path(archive, f"{case}/{quantisation}/")
        expected = read_weights(lambda name: (folder / name).read_bytes())
        files = {file.name: file.read_bytes() for file in folder.iterdir()}

    assert read_weights(lambda name: (ours / name).read_bytes()) == expected
    if case in SAME_ORDER:
        shards = [name for name in files if name.endswith(".bin")]
        assert shards
        assert all((ours / name).read_bytes() == files[name] for name in shards)


def test_every_official_output_is_compared(fixtures_dir):
    with zipfile.ZipFile(fixtures_dir / "official.zip") as archive:
        cases = {name.split("/")[0] for name in archive.namelist()}
    assert cases == {*SAME_ORDER, *OTHER_ORDER, *LOWERED}
