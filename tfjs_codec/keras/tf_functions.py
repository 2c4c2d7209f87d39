"""TensorFlow's functions in tf_keras models, as calls of ``keras.ops``.

``TFOpLambda`` layers name a function by its path (``math.reduce_mean``, ``compat.v1.gather``) and
its arguments by TensorFlow's parameters, all but the first. Source: TensorFlow 2.4 to 2.19.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from tfjs_codec.ir.keras import Call, Config
from tfjs_codec.keras.names import snake_case
from tfjs_codec.keras.signatures import signature

# Functions (without their module) whose name differs from that in keras.ops.
_FUNCTIONS = {
    "truediv": "true_divide", "divide": "true_divide", "div": "true_divide",
    "floordiv": "floor_divide", "floor_div": "floor_divide", "floormod": "mod", "pow": "power",
    "neg": "negative", "sub": "subtract", "mul": "multiply", "eq": "equal", "ne": "not_equal",
    "gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal", "abs": "absolute",
    "reduce_mean": "mean", "reduce_sum": "sum", "reduce_max": "max", "reduce_min": "min",
    "reduce_prod": "prod", "reduce_any": "any", "reduce_all": "all", "reduce_std": "std",
    "reduce_variance": "var", "reduce_logsumexp": "logsumexp", "concat": "concatenate",
    "reduce_euclidean_norm": "euclidean_norm", "accumulate_n": "add_n",
    "gather": "take", "clip_by_value": "clip", "swish": "silu", "reverse": "flip",
    "atan2": "arctan2", "lgamma": "log_gamma", "logsigmoid": "log_sigmoid",
    "where_v2": "where", "softmax_v2": "softmax", "log_softmax_v2": "log_softmax",
    "rsub": "rsub", "rtruediv": "rtruediv", "acos": "arccos", "asin": "arcsin", "atan": "arctan",
    "acosh": "arccosh", "asinh": "arcsinh", "atanh": "arctanh", "is_nan": "isnan",
    "is_inf": "isinf", "is_finite": "isfinite", "range": "arange", "fill": "full",
    "unsorted_segment_sum": "segment_sum",
    **dict.fromkeys(("max_pool1d", "max_pool2d"), "max_pool"),
    **dict.fromkeys(("avg_pool", "avg_pool1d", "avg_pool2d"), "average_pool"),
    **dict.fromkeys(("conv1d", "conv2d"), "conv"), "depthwise_conv2d": "depthwise_conv",
    "image_crop_to_bounding_box": "crop_images", "image_pad_to_bounding_box": "pad_images",
}  # fmt: skip
# Modules in which a name means something else than in keras.ops, but for these names.
_MODULES: dict[str, frozenset[str]] = {
    "image": frozenset((
        "extract_patches", "hsv_to_rgb", "resize", "rgb_to_grayscale", "rgb_to_hsv", "sobel_edges",
    )),
    "linalg": frozenset((
        "cholesky", "cross", "det", "einsum", "inv", "l2_normalize", "logdet", "matmul", "norm",
        "normalize", "slogdet", "solve", "tensordot",
    )),
    **dict.fromkeys(("random", "ragged", "sets", "signal", "sparse", "strings"), frozenset()),
}  # fmt: skip
# Functions that are one of keras.ops with some options.
_WITH_OPTIONS: dict[str, tuple[str, Config]] = {
    "linalg_trace": ("trace", {"axis1": -2, "axis2": -1}),
    "linalg_matrix_transpose": ("swapaxes", {"axis1": -2, "axis2": -1}),
    "linalg_diag_part": ("diagonal", {"axis1": -2, "axis2": -1}),
    "image_transpose": ("swapaxes", {"axis1": -3, "axis2": -2}),
    "image_rot90": ("rot90", {"axes": (-3, -2)}),
    "image_flip_left_right": ("flip", {"axis": -2}),
    "image_flip_up_down": ("flip", {"axis": -3}),
}
# What TensorFlow calls the first operand.
_FIRST = (
    "input", "input_tensor", "tensor", "value", "values", "features", "logits", "t", "image",
    "images", "inputs", "a", "params", "input_", "data", "indices_or_x", "x",
)  # fmt: skip
_SECOND = {"y": "x2", "b": "x2"}
_PARAMETERS = {
    "keep_dims": "keepdims",
    "reduction_indices": "axis",
    "dim": "axis",
    "dimension": "axis",
    "squeeze_dims": "axis",
    "concat_dim": "axis",
}
_POOL = {"ksize": "pool_size"}
_CONV = {"filters": "kernel", "filter": "kernel", "stride": "strides", "dilations": "dilation_rate",
         "rate": "dilation_rate"}  # fmt: skip
_PARAMETERS_OF: dict[str, dict[str, str]] = {
    "arange": {"limit": "stop", "delta": "step"},
    "arctan2": {"y": "x1", "x": "x2"},
    "average_pool": _POOL,
    "clip": {"clip_value_min": "x_min", "clip_value_max": "x_max"},
    "conv": _CONV,
    "crop_images": {"offset_height": "top_cropping", "offset_width": "left_cropping"},
    "depthwise_conv": _CONV,
    "diagonal": {"k": "offset"},
    "embedding_lookup": {"ids": "indices"},
    "extract_patches": {"sizes": "size", "rates": "dilation_rate"},
    "full": {"dims": "shape", "value": "fill_value"},
    "getitem": {"slice_spec": "key"},
    "leaky_relu": {"alpha": "negative_slope"},
    "matmul": {"adj_x": "transpose_a", "adj_y": "transpose_b"},
    "max_pool": _POOL,
    "one_hot": {"indices": "x", "depth": "num_classes"},
    "pad": {"paddings": "pad_width"},
    "pad_images": {"offset_height": "top_padding", "offset_width": "left_padding"},
    "reshape": {"shape": "newshape"},
    "resize": {"method": "interpolation"},
    "slice": {"begin": "start_indices", "size": "shape"},
    "solve": {"matrix": "a", "rhs": "b"},
    "split": {"num_or_size_splits": "indices_or_sections", "num_split": "indices_or_sections"},
    "tile": {"multiples": "repeats"},
    "transpose": {"perm": "axes"},
    "where": {"x": "x1", "y": "x2"},
}
# Operands in TensorFlow's order, where that is another one.
_OPERANDS = {"in_top_k": ("predictions", "targets")}
# Options whose default in TensorFlow is not the one of keras.ops.
_DEFAULTS: dict[str, Config] = {
    "gelu": {"approximate": False},
    "embedding_lookup": {"axis": 0},
    "top_k": {"k": 1},
    "argmax": {"axis": 0},
    "argmin": {"axis": 0},
    "cumsum": {"axis": 0},
    "cumprod": {"axis": 0},
    "split": {"axis": 0},
    "softmax": {"axis": -1},
    "log_softmax": {"axis": -1},
}
# Options without effect: tfjs's whole numbers have 32 bits, and sorting keeps equal ones in order.
_IDLE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("shape", "size"), ("out_type",)),
    **dict.fromkeys(("argmax", "argmin"), ("output_type",)),
    "argsort": ("stable",),
    "gather_nd": ("bad_indices_policy",),
    **dict.fromkeys(("conv", "depthwise_conv"), ("use_cudnn_on_gpu",)),
}
# Options of windows: TensorFlow may list the batch and the channels, too.
_WINDOWS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("max_pool", "average_pool"), ("pool_size", "strides")),
    **dict.fromkeys(("conv", "depthwise_conv"), ("strides", "dilation_rate")),
    "extract_patches": ("size", "strides", "dilation_rate"),
}
_LAYOUTS = {
    **dict.fromkeys(("NWC", "NHWC"), "channels_last"),
    **dict.fromkeys(("NCW", "NCHW"), "channels_first"),
}


def _qualified(function: str) -> str:
    path, _, last = function.rpartition(".")
    name = re.sub(r"_v[12]$", "", snake_case(last).strip("_"))
    module = path.removeprefix("compat.v1").lstrip(".")
    same = _MODULES.get(module)
    if same is not None and name not in same:
        return f"{module}_{name}"
    if module == "keras.backend" and name == "repeat":  # of a matrix, along a new axis
        return "repeat_vector"
    return name


def function_name(function: str) -> str:
    """Return the canonical name of ``math.reduce_mean``, ``__operators__.add``, ``Relu``, …."""
    name = _qualified(function)
    name = _WITH_OPTIONS[name][0] if name in _WITH_OPTIONS else name
    return _FUNCTIONS.get(name, name)


def function_call(name: str, function: object, call: Call) -> Call:
    """Return *call* of *function*, whose canonical name is *name*, as one of ``keras.ops``."""
    given = {key: value for key, value in call.kwargs.items() if key not in ("name", "training")}
    names, operands = parameters(name), signature(name).operands
    bound = dict(zip(_OPERANDS.get(name, operands), call.args, strict=False))
    surplus = call.args[len(operands) :]
    for key, value in given.items():
        bound.setdefault(names.get(key, key), value)
    qualified = _qualified(function) if isinstance(function, str) else ""
    if qualified in _WITH_OPTIONS:
        bound.update(_WITH_OPTIONS[qualified][1])
    return bind(name, surplus, bound)


def parameters(name: str) -> dict[str, str]:
    """Return the parameters of the function *name* by the names that TensorFlow gives them."""
    row = signature(name)
    return {
        **dict.fromkeys(_FIRST, row.operands[0] if row.operands else "x"),
        **_PARAMETERS,
        **(_SECOND if row.operands[1:] == ("x2",) else {}),
        **{key: key for key in (*row.operands, *row.options)},
        **_PARAMETERS_OF.get(name, {}),
    }


def bind(name: str, surplus: tuple[Any, ...], bound: Config) -> Call:
    """Return the call of *name* with the arguments *bound* by the names of ``keras.ops``."""
    for key, value in _DEFAULTS.get(name, {}).items():
        if bound.get(key) is None:
            bound[key] = value
    for key in _IDLE.get(name, ()):
        bound.pop(key, None)
    if name in _FORMS:
        _FORMS[name](bound)
    if name in _WINDOWS:
        _window(_WINDOWS[name], bound)
    operands = signature(name).operands
    args = tuple(bound.pop(operand) for operand in operands if operand in bound)
    return Call((*args, *surplus), bound)


def _window(keys: tuple[str, ...], bound: Config) -> None:
    """Give windows as keras.ops does; what it cannot say becomes an option that is refused."""
    layout = _LAYOUTS.get(str(bound.get("data_format") or "NHWC"))
    if layout is None or not isinstance(bound.get("padding"), str):
        bound["layout" if layout is None else "explicit_padding"] = True
        return
    bound.pop("data_format", None)
    if layout == "channels_first":
        bound["data_format"] = layout
    for key in keys:
        value = bound.get(key)
        if isinstance(value, list | tuple) and len(value) in (3, 4):
            bound[key] = list(value[2:] if layout == "channels_first" else value[1:-1])


def _split(bound: Config) -> None:
    """Turn the sizes of the pieces, of which one may be -1, into the places to cut."""
    sizes = bound.get("indices_or_sections")
    if isinstance(sizes, list) and all(isinstance(size, int) for size in sizes):
        rest = sizes.index(-1) if -1 in sizes else len(sizes) - 1
        before, after = sizes[:rest], sizes[:rest:-1]
        ends = [-size for size in accumulate(after)]
        bound["indices_or_sections"] = [*accumulate(before), *reversed(ends)]


def _take(bound: Config) -> None:
    if bound.get("axis") is None:
        bound["axis"] = bound.get("batch_dims") or 0


def _range(bound: Config) -> None:
    if bound.get("stop") is None:
        bound["start"], bound["stop"] = 0, bound.get("start")


def _getitem(bound: Config) -> None:
    if "key" in bound:
        bound["key"] = _slice_spec(bound["key"])


def _slice_spec(spec: Any) -> Any:
    """Decode ``{"start", "stop", "step"}`` dicts of SlicingOpLambda."""
    if isinstance(spec, list):
        return [_slice_spec(item) for item in spec]
    if isinstance(spec, dict) and set(spec) == {"start", "stop", "step"}:
        return slice(spec["start"], spec["stop"], spec["step"])
    return spec


_FORMS: dict[str, Callable[[Config], None]] = {
    "arange": _range,
    "getitem": _getitem,
    "split": _split,
    "take": _take,
}
