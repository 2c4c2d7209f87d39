"""Models of more than memory shall hold, written into a real store of objects."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing

import pytest
from cluster import Store
from keras_files import dense_h5

import tfjs_codec

pytestmark = [pytest.mark.cluster, pytest.mark.posix]
_MIB = 1 << 20
_MEASURE = """
import re, sys, tfjs_codec

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) << 10

tfjs_codec.convert(sys.argv[1], "s3://models/small", single_shard=True)
before = peak()
tfjs_codec.convert(sys.argv[2], "s3://models/big", single_shard=True)
tfjs_codec.convert(sys.argv[2], "s3://models/big.h5")
print(peak() - before)
"""


def test_memory_does_not_grow_with_what_is_uploaded(tmp_path):
    small, big = tmp_path / "small.h5", tmp_path / "big.h5"
    small.write_bytes(dense_h5())
    big.write_bytes(dense_h5(sizes=(10_240, 4096)))
    assert big.stat().st_size > 160 * _MIB
    with closing(Store(tmp_path / "store.log")) as store:
        line = [sys.executable, "-c", _MEASURE, str(small), str(big)]
        environment = store.environment | {"OPENBLAS_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
        done = subprocess.run(
            line, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) < 64 * _MIB
        assert store.content("big") == tfjs_codec.to_files(big, single_shard=True)
        assert (
            store.system.cat_file("models/big.h5") == tfjs_codec.to_files(big, to="h5")["model.h5"]
        )
    assert {path.name for path in tmp_path.iterdir()} == {"small.h5", "big.h5", "store.log"}
