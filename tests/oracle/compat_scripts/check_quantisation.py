import numpy as np
from tensorflowjs import quantization

data = np.random.normal(size=(32, 8)).astype("float32")
for dtype in (np.uint8, np.uint16):
    stored, metadata = quantization.quantize_weights(data, dtype)
    error = np.abs(quantization.dequantize_weights(stored, metadata) - data).max()
    assert error <= metadata["scale"] * 0.51, error
