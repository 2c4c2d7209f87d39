"""Ranges of files are copied whole, wherever they begin in the source and in the target."""

import numpy as np
import pytest

from tfjs_codec.errors import CorruptFileError
from tfjs_codec.files.copying import copy_checked, copy_range
from tfjs_codec.files.crc32c import Crc32c
from tfjs_codec.ir.tensors import Extent

PAGE = 4096
BUFFER = 1 << 19


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    path = tmp_path_factory.mktemp("copying") / "source"
    data = np.random.default_rng(0).bytes(3 * BUFFER)
    path.write_bytes(data)
    return path, data


@pytest.mark.parametrize("nbytes", [1, PAGE, BUFFER - 1, BUFFER, BUFFER + 1, 2 * BUFFER + PAGE])
@pytest.mark.parametrize(("offset", "position"), [(0, 0), (856, 0), (PAGE, 1), (1, PAGE + 1)])
@pytest.mark.parametrize("copy", [copy_range, copy_checked])
def test_a_range_is_copied_whole(values, tmp_path, copy, offset, position, nbytes):
    path, data = values
    with path.open("rb") as source, (tmp_path / "target").open("w+b") as target:
        found = copy(source.fileno(), target.fileno(), Extent(path, offset, nbytes), position)
        target.seek(0)
        assert target.read() == bytes(position) + data[offset : offset + nbytes]
    checksum = Crc32c()
    checksum.update(data[offset : offset + nbytes])
    assert found in (None, checksum.value())


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("copy", [copy_range, copy_checked])
def test_a_source_that_ends_within_the_range(values, tmp_path, copy, offset):
    path, data = values
    with path.open("rb") as source, (tmp_path / "target").open("w+b") as target:
        extent = Extent(path, offset, len(data) + 1)
        with pytest.raises(CorruptFileError, match="became shorter"):
            copy(source.fileno(), target.fileno(), extent, 0)
