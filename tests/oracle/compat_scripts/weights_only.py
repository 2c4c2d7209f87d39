import numpy as np
from tensorflowjs.read_weights import read_weights
from tensorflowjs.write_weights import write_weights

groups = [[{"name": "embedding", "data": np.random.rand(10, 4).astype("float32")}]]
manifest = write_weights(groups, "weights_only", shard_size_bytes=64)
(entry,) = read_weights(manifest, "weights_only", flatten=True)
np.testing.assert_array_equal(entry["data"], groups[0][0]["data"])
