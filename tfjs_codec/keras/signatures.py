"""The functions of ``keras.ops``: their names, operands and options, with the defaults.

Operands are before the ``/``: tensors, lists of tensors, or constants in their place. Options that
Keras does not have are TensorFlow's (``transpose_a``), and so are some functions (``rsub``).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

_TABLE = """
x, /: abs absolute angle arccos arccosh arcsin arcsinh arctan arctanh bitwise_invert bitwise_not
    cbrt ceil conj conjugate corrcoef cos cosh deg2rad det erf erfc erfinv exp exp2 expm1
    exponential fabs fft fft2 fix flatten fliplr flipud floor hard_sigmoid hard_silu hard_swish
    hard_tanh i0 ifft2 imag inv isfinite isinf isnan isneginf isposinf isreal linear log log10
    log1p log2 log_sigmoid logdet logical_not mish negative rad2deg ravel real reciprocal relu
    relu6 rint rsqrt selu shape sigmoid sign signbit silu sin sinc sinh size slogdet softplus
    softsign sparse_plus sparse_sigmoid sqrt square swish tan tanh tanh_shrink trunc
    view_as_complex view_as_real
x1, x2, /: add arctan2 divide divide_no_nan dot equal floor_divide fmax fmin fmod greater
    greater_equal heaviside hypot inner kron ldexp less less_equal logaddexp logaddexp2
    logical_and logical_or logical_xor maximum minimum mod multiply not_equal outer power
    squared_difference subtract true_divide vdot
x, y, /: bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor cdist
    left_shift right_shift rsub rtruediv
x, /, axis=None, keepdims=False: all any argmax argmin logsumexp mean median nanargmax nanargmin
    nanmax nanmean nanmedian nanmin nanprod nanstd nansum nanvar ptp std sum var variance
x, /, axis=None, keepdims=False, initial=None: amax amin max min
x, /, axis=None, keepdims=False, dtype=None: prod
x, /, ord=None, axis=None, keepdims=False: euclidean_norm norm
x, /, axis=None: count_nonzero flip squeeze
x, /, axis=None, weights=None: average
x, /, axis=None, dtype=None, exclusive=False, reverse=False: cumprod cumsum
x, /, axis=None, dtype=None: nancumprod nancumsum
x, /, axes, keepdims=False, synchronized=False: moments
x, /, q, axis=None, method='linear', keepdims=False: nanpercentile nanquantile percentile quantile
x, /, axis=-1: glu log_softmax softmax sparsemax
x, /, axis=-1, direction='ASCENDING': argsort sort
x, /, axis=-1, order=2, epsilon=None: normalize
x, /, axis=-1, epsilon=None: l2_normalize
x, mean, variance, /, axis, offset=None, scale=None, epsilon=0.001: batch_normalization
x, /, gamma=None, beta=None, axis=-1, epsilon=None, rms_scaling=False: layer_normalization
x, /, scale=None, axis=-1, epsilon=None: rms_normalization
x, /, negative_slope=0.2: leaky_relu
x, /, alpha=1.0: celu elu
x, /, approximate=True: gelu
x, /, threshold=0.5: hard_shrink soft_shrink
x, /, threshold, default_value: threshold
x, /, b=4: squareplus
x, /, x_min, x_max: clip
x, /, decimals=0: round
x, /, nan=0.0, posinf=None, neginf=None: nan_to_num
x, bias, /, data_format=None: bias_add
x, /: batch_flatten linalg_diag rank
x, /, num_lower, num_upper: linalg_band_part
params, indices, /, batch_dims=0: gather_nd
lengths, /, maxlen=None, dtype=None: sequence_mask
x1, x2, /, transpose_a=False, transpose_b=False: matmul
x1, x2, /, axes=2: tensordot
x1, x2, /, axisa=-1, axisb=-1, axisc=-1, axis=None: cross
x1, x2, /, rtol=1e-05, atol=1e-08, equal_nan=False: allclose isclose
x1, x2, /, assume_unique=False, invert=False: isin
x1, x2, /, axis=None: append
x1, x2, /, max_val: psnr
subscripts, *operands: einsum
condition, x1=None, x2=None, /: where
condlist, choicelist, /, default=0: select
x, /, shape=None: copy ensure_shape identity stop_gradient
x, /, dtype=None: array convert_to_tensor ones_like zeros_like
x, /, dtype: cast saturate_cast
x, /, fill_value, dtype=None: full_like
shape, /, fill_value, dtype=None: full
shape, /, dtype=None: ones zeros
start, /, stop=None, step=None, dtype=None: arange
start, /, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0: linspace
start, /, stop, num=50, endpoint=True, base=10, dtype=None, axis=0: logspace
start, /, stop, num=50, endpoint=True, dtype=None, axis=0: geomspace
*xs, indexing='xy': meshgrid
x, /, newshape: reshape
x, /, axis: expand_dims
x, /, axes=None: permute_dimensions transpose
x, /, axis1, axis2: swapaxes
x, /, source, destination: moveaxis
x, /, shape: broadcast_to
x, /, repeats: tile
x, /, repeats, axis=None: repeat
x, /, shift, axis=None: roll
x, /, pad_width, mode='constant', constant_values=None: pad
x, /, indices_or_sections, axis=0: array_split split
x, /, indices_or_sections: dsplit hsplit vsplit
x, /, num=None, axis=0: unstack
x, /, axis=0: stack
xs, /, axis=0: concatenate
xs, /: add_n dstack hstack vstack
x, /, k=0: diagflat tril triu
x, /, offset=0, axis1=0, axis2=1: diagonal trace
x, /, N=None, increasing=False: vander
a, /, n=1, axis=-1: diff
y, /, x=None, dx=1.0, axis=-1: trapezoid
array, /, k=1, axes=(0, 1): rot90
tensor, /, pattern, axes_lengths=None, **lengths: rearrange
x, key, /: get_item getitem
inputs, start_indices, shape, /: slice
inputs, start_indices, updates, /: slice_update
x, indices, /, axis=None, batch_dims=0: embedding_lookup take
x, indices, /, axis=None: take_along_axis
indices, values, /, shape: scatter
inputs, indices, updates, /, reduction=None: scatter_update
indices, /, shape: unravel_index
x, /, num_classes, axis=-1, dtype=None, sparse=False, on_value=1, off_value=0: one_hot
inputs, /, num_classes, axis=-1, dtype=None, sparse=False: multi_hot
x, /, k, sorted=True: top_k
targets, predictions, /, k: in_top_k
sorted_sequence, values, /, side='left': searchsorted
x, bins, /: digitize
data, segment_ids, /, num_segments=None, sorted=False: segment_max segment_min segment_prod
    segment_sum
target, output, /, from_logits=False, axis=-1: categorical_crossentropy
    sparse_categorical_crossentropy
target, output, /, from_logits=False: binary_crossentropy
x, /, upper=False: cholesky cholesky_inverse
a, b, /: solve
a, b, /, lower=False: solve_triangular
abs_, angle, /: polar
x, /, fft_length=None: irfft rfft
x, /, sequence_length, sequence_stride: extract_sequences
x, /, sequence_length, sequence_stride, fft_length, window='hann', center=True: stft
x, /, sequence_length, sequence_stride, fft_length, length=None, window='hann', center=True: istft
query, key, value, /, bias=None, mask=None, scale=None, is_causal=False, flash_attention=None,
    attn_logits_soft_cap=None: dot_product_attention
inputs, kernel, /, strides=1, padding='valid', data_format=None, dilation_rate=1, groups=1: conv
inputs, kernel, /, strides=1, padding='valid', data_format=None, dilation_rate=1: depthwise_conv
inputs, depthwise_kernel, pointwise_kernel, /, strides=1, padding='valid', data_format=None,
    dilation_rate=1: separable_conv
inputs, kernel, /, strides=1, padding='valid', output_padding=None, data_format=None,
    dilation_rate=1: conv_transpose
inputs, /, pool_size, strides=None, padding='valid', data_format=None: average_pool max_pool
inputs, /, output_size, data_format=None: adaptive_average_pool adaptive_max_pool
images, /, size, interpolation='bilinear', antialias=False, crop_to_aspect_ratio=False,
    pad_to_aspect_ratio=False, fill_mode='constant', fill_value=0.0, data_format=None: resize
images, /, data_format=None: hsv_to_rgb rgb_to_grayscale rgb_to_hsv sobel_edges
images, /, top_padding=None, left_padding=None, bottom_padding=None, right_padding=None,
    target_height=None, target_width=None, data_format=None: pad_images
images, /, top_cropping=None, left_cropping=None, bottom_cropping=None, right_cropping=None,
    target_height=None, target_width=None, data_format=None: crop_images
images, /, size, strides=None, dilation_rate=1, padding='valid', data_format=None: extract_patches
images, /, kernel_size=(3, 3), sigma=(1.0, 1.0), data_format=None: gaussian_blur
x, /, kernel_size, dilation=1, padding=0, stride=1: unfold
x, /, output_size, kernel_size, dilation=1, padding=0, stride=1: fold
x, /, block_size, data_format='channels_last': depth_to_space space_to_depth
inputs, coordinates, /, order, fill_mode='constant', fill_value=0: map_coordinates
images, transform, /, interpolation='bilinear', fill_mode='constant', fill_value=0,
    data_format=None: affine_transform
images, start_points, end_points, /, interpolation='bilinear', fill_value=0,
    data_format=None: perspective_transform
images, /, output_shape, scale, translation, spatial_dims, method,
    antialias=True: scale_and_translate
"""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes: the names of its operands and options, and defaults by name."""

    operands: tuple[str, ...]
    options: tuple[str, ...]
    defaults: Mapping[str, object]


_ROWS = {
    name: parameters
    for row in _TABLE.replace("\n    ", " ").strip().split("\n")
    for parameters, _, names in (row.rpartition(": "),)
    for name in names.split()
}
OPERATIONS = frozenset(_ROWS)


@cache
def signature(name: str) -> Signature:
    """Return the signature of the function *name*; of an unknown one, that of ``name(x)``."""
    function = ast.parse(f"lambda {_ROWS.get(name, 'x, /')}: 0", mode="eval").body
    assert isinstance(function, ast.Lambda)  # noqa: S101
    args = function.args
    listed = [*args.posonlyargs, *args.args]
    given = zip(reversed(listed), reversed(args.defaults), strict=False)
    by_name = zip(args.kwonlyargs, args.kw_defaults, strict=True)
    defaults = {
        arg.arg: ast.literal_eval(default) for arg, default in (*given, *by_name) if default
    }
    options = (*args.args, *args.kwonlyargs)
    return Signature(
        tuple(arg.arg for arg in args.posonlyargs), tuple(arg.arg for arg in options), defaults
    )
