"""Random TensorFlow graphs compute what TensorFlow computed, in the numpy interpreter.

They are those of ``tests/oracle/graph_exam``, recorded by ``fixtures/make/graph_questions.py``.
"""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from compare import assert_same
from graph_fixtures import FIXTURES

import tfjs_codec
from tfjs_codec.errors import UnsupportedModelError
from tfjs_codec.graph.importing.tfjs_graph import parse
from tfjs_codec.graph.interpreter import run
from tfjs_codec.ir.loaded import TfjsGraph
from tfjs_codec.readers import open_model

ARCHIVE = zipfile.ZipFile(FIXTURES / "graph_questions.zip")
CASES = json.loads(ARCHIVE.read("cases.json"))
ARRAYS = np.load(io.BytesIO(ARCHIVE.read("io.npz")))

# Operations that are refused, and in which cases; all others must be taken.
REFUSED = {
    "AsString": ["ints.as_string", "ints.cast_string"],
    "AudioSpectrogram": ["signal.spectrogram"],
    "BesselJ0": ["special.bessel_j0"],
    "BesselJ1": ["special.bessel_j1"],
    "BesselK0": ["special.bessel_k0"],
    "BesselK0e": ["special.bessel_k0e"],
    "BesselK1": ["special.bessel_k1"],
    "BesselK1e": ["special.bessel_k1e"],
    "BesselY0": ["special.bessel_y0"],
    "BesselY1": ["special.bessel_y1"],
    "Betainc": ["math.betainc"],
    "Bitcast": ["array.bitcast", "math2.bitcast"],
    "BroadcastGradientArgs": ["array.gradient", "array.hessian_free"],
    "CTCBeamSearchDecoder": ["nn.ctc_beam"],
    "CTCGreedyDecoder": ["nn.ctc_greedy"],
    "Cholesky": ["linalg.cholesky_solve", "linalg.logdet"],
    "Conv2DBackpropFilter": ["conv.backprop_filter"],
    "Dawsn": ["special.dawsn"],
    "DecodePaddedRaw": ["strings.decode_raw"],
    "DecodePng": ["image.decode"],
    "DecodeWav": ["signal.decode_wav"],
    "DenseToDenseSetOperation": ["ints.sets_intersection"],
    "DepthwiseConv2dNativeBackpropInput": ["conv.depthwise_input"],
    "Dequantize": ["array.quantize_v2"],
    "Dilation2D": ["conv.dilation", "conv.erosion"],
    "DrawBoundingBoxesV2": ["image.draw_boxes"],
    "EditDistance": ["ints.edit"],
    "Empty": ["array.ctc"],
    "EncodeBase64": ["strings.base64"],
    "Expint": ["special.expint"],
    "ExtractGlimpseV2": ["image.extract_glimpse"],
    "FractionalMaxPool": ["conv.fractional"],
    "FresnelCos": ["special.fresnel_cos"],
    "FresnelSin": ["special.fresnel_sin"],
    "GatherV2": ["array.tnp_take_along"],
    "IRFFT": ["signal.idct"],
    "Igamma": ["math.igamma"],
    "Igammac": ["math.igammac"],
    "ImageProjectiveTransformV3": ["image.projective"],
    "Lu": ["linalg.lu"],
    "MatrixDiagPartV3": ["linalg.diag_part_k"],
    "MatrixDiagV3": ["linalg.diag_band"],
    "MatrixSetDiagV3": ["array.eye", "linalg.set_diag_k"],
    "MatrixSolve": ["linalg.solve"],
    "MatrixSquareRoot": ["linalg.sqrtm"],
    "MaxPoolWithArgmax": ["conv.max_pool_argmax"],
    "Mfcc": ["signal.mfcc_raw"],
    "MirrorPadGrad": ["array.mirror_pad_grad"],
    "NextAfter": ["math2.nextafter"],
    "Polygamma": ["math.polygamma"],
    "Prod": ["math2.complex_prod"],
    "Qr": ["linalg.qr"],
    "QuantizeAndDequantizeV4": ["array.quantize_dequantize"],
    "RFFT": ["signal.conv_fft", "signal.mel"],
    "RFFT2D": ["signal.irfft2d"],
    "RaggedTensorToTensor": ["array.ragged"],
    "ReduceJoin": ["strings.reduce_join"],
    "ResizeArea": ["resized.2"],
    "ResizeBicubic": ["resized_v1.2"],
    "Roll": ["signal.fftshift", "signal.ifftshift"],
    "SelfAdjointEigV2": ["linalg.eigh", "linalg.eigvalsh"],
    "SobolSample": ["array.sobol"],
    "SparseSegmentSqrtN": ["array.sparse_segment_sqrt_n"],
    "Spence": ["special.spence"],
    "StatelessRandomGetKeyCounter": [
        "array.bernoulli0",
        "array.stateless_normal",
        "array.stateless_uniform",
        "image.stateless_flip",
    ],
    "StaticRegexFullMatch": ["strings.regex_full_match"],
    "StridedSliceGrad": ["array.gradient_softmax"],
    "StringFormat": ["strings.format"],
    "StringJoin": ["strings.join"],
    "StringLength": ["strings.length", "strings.length_utf8"],
    "StringLower": ["strings.lower"],
    "StringStrip": ["strings.strip"],
    "StringToHashBucket": ["strings.hash"],
    "StringToHashBucketStrong": ["strings.hash_strong"],
    "StringToNumber": ["strings.to_number"],
    "StringUpper": ["strings.upper"],
    "Substr": ["strings.substr"],
    "Svd": ["linalg.matrix_rank", "linalg.pinv", "linalg.svd", "linalg.svd_only"],
    "TridiagonalMatMul": ["linalg.tridiagonal"],
    "TridiagonalSolve": ["linalg.tridiagonal_solve"],
    "Zeta": ["math.zeta"],
}
# Taken, but numpy has no kernel for an operation.
NO_KERNEL = [
    "array.embedding_sparse",
    "array.safe_embedding",
    "array.sparse_segment_mean",
    "array.sparse_segment_sum",
    "array.unique_axis",
    "strings.ngrams",
]

PREDICTED = CASES.keys() - set().union(*REFUSED.values(), NO_KERNEL)


def convert(name):
    outputs = CASES[name]["outputs"]
    source = ARCHIVE.read(f"{name}.pb")
    return tfjs_codec.to_files(source, to="graph", output_node_names=outputs)


@pytest.mark.parametrize("name", sorted(PREDICTED))
def test_computes_what_tensorflow_computed(name):
    with open_model(convert(name)) as model:
        assert isinstance(model, TfjsGraph)
        graph = parse(model)
        got = run(graph, {key: ARRAYS[f"{name}/in.{key}"] for key in graph.inputs})
    assert_same(got, {key: ARRAYS[f"{name}/out.{key}"] for key in CASES[name]["outputs"]})


@pytest.mark.parametrize("name", sorted(n for n in PREDICTED if not n.endswith((".2", ".3"))))
def test_predicts_what_tensorflow_computed(name, tmp_path):
    """From the file itself, in TensorFlow's operations."""
    file, outputs = tmp_path / "model.pb", CASES[name]["outputs"]
    file.write_bytes(ARCHIVE.read(f"{name}.pb"))
    with tfjs_codec.load(file, output_node_names=outputs) as model:
        keys = [key for key in CASES[name]["inputs"] if key in model.input_names]
        found = model.predict({key: ARRAYS[f"{name}/in.{key}"] for key in keys})
    got = found if isinstance(found, dict) else dict(zip(outputs, [found], strict=True))
    assert_same({key: got[key] for key in outputs}, {k: ARRAYS[f"{name}/out.{k}"] for k in outputs})


@pytest.mark.parametrize("op", REFUSED)
def test_refuses_by_name(op):
    for name in REFUSED[op]:
        with pytest.raises(UnsupportedModelError, match=rf"\({op}\)"):
            convert(name)


@pytest.mark.parametrize("name", NO_KERNEL)
def test_what_numpy_lacks_is_taken(name):
    assert "model.json" in convert(name)
