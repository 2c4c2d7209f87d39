"""Where readers, lowering and writers are joined."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tfjs_codec.options import ConvertOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tfjs_codec.ir.keras import KerasGraph, KerasModel
    from tfjs_codec.ir.tfjs import TfjsModel
    from tfjs_codec.lowering.support import LoweringLog
    from tfjs_codec.report.report import Report
    from tfjs_codec.writers.tfjs_layers import Plan, Written

Source = str | os.PathLike[str] | bytes | BinaryIO
Progress = Callable[[int, int], None]


def convert(
    source: Source,
    destination: str | os.PathLike[str],
    *,
    options: ConvertOptions | None = None,
    replace: Mapping[str, Source] | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> Report:
    """Convert a Keras model into a directory with a tfjs Layers model.

    Args:
        source: A Keras HDF5 or ``.keras`` file: a path, its bytes, or an open binary file. A
            weights-only file becomes a manifest without topology, unless ``architecture`` names
            the JSON of its model.
        destination: The directory to create, or to replace if it holds a tfjs model. It is
            either the complete new model afterwards, or as it was.
        options: All options at once, instead of *choices*.
        replace: Keras models to put in the place of layers, by layer name.
        progress: Called with the weight bytes done and to do.
        choices: Attributes of :class:`~tfjs_codec.options.ConvertOptions`.

    Raises:
        InputError: The source is damaged, unsafe, or none we read (``UnknownFormatError``).
        UnsupportedModelError: tfjs cannot express the model; ``problems`` lists every reason.
        UsageError: The options make no sense.
        OutputError: Writing failed; the destination is as it was.
    """
    from tfjs_codec.files.sink import check_destination, staged
    from tfjs_codec.writers import tfjs_layers

    options = options or ConvertOptions(**choices)
    target = check_destination(Path(destination), tfjs_layers.model_files, force=options.force)
    with ExitStack() as stack:
        keras, model, log = _lowered(stack, source, options, replace or {})
        planned = tfjs_layers.plan(model, options)
        with staged(target, tfjs_layers.model_files, force=options.force) as stage:
            written = tfjs_layers.write(model, planned, stage, progress)
        return _report(keras, str(destination), log, planned, written)


def plan(
    source: Source,
    *,
    options: ConvertOptions | None = None,
    replace: Mapping[str, Source] | None = None,
    **choices: Any,
) -> Report:
    """Return the report that :func:`convert` would give, without writing anything.

    Sizes of weight files are exact; quantisation errors are not computed.
    """
    from tfjs_codec.writers import tfjs_layers

    options = options or ConvertOptions(**choices)
    with ExitStack() as stack:
        keras, model, log = _lowered(stack, source, options, replace or {})
        planned = tfjs_layers.plan(model, options)
        return _report(keras, "", log, planned, None)


class LoadedModel:
    """A model's weights, read when they are touched, until :meth:`close`.

    Attributes:
        format: What was read: ``keras-h5``, ``keras-v3``, ``tfjs-layers``, ``tfjs-graph``, …
        keras_version: The version of Keras that wrote it, if it says so.
        weights: Arrays by name; of tfjs models as tfjs computes with them, dequantised.
        topology: A tfjs model's ``modelTopology``.
        metadata: A tfjs model's ``userDefinedMetadata``.
        training_config: How the model was compiled, as its file says it.
    """

    def __init__(
        self, source: Source, options: ConvertOptions, keras: KerasModel, stack: ExitStack
    ) -> None:
        tensors = dict(keras.loose_weights)
        if keras.graph is not None:
            tensors.update(_named(keras.graph, ""))
        self.format = keras.format
        self.keras_version = keras.keras_version
        self.weights: Mapping[str, NDArray[np.generic]] = _Weights(tensors)
        self.topology = keras.tfjs.topology if keras.tfjs else None
        self.metadata = keras.tfjs.metadata if keras.tfjs else None
        self.training_config = keras.tfjs.training_config if keras.tfjs else keras.training_config
        self._source = source
        self._options = options
        self._stack = stack

    def close(self) -> None:
        """Close the source; weights that were not read are gone."""
        self._stack.close()

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Weights(Mapping[str, Any]):
    def __init__(self, tensors: Mapping[str, Any]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> Any:
        return self._tensors[name].numpy()

    def __iter__(self) -> Any:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def load(source: Source, **choices: Any) -> LoadedModel:
    """Open a Keras or tfjs model, any SavedModel or a checkpoint to read its weights into numpy.

    ``load(path).weights`` maps ``layer/kernel`` (layers of nested models as
    ``model/layer/kernel``) to arrays; each is read when it is asked for. Without a Keras
    architecture, and for tfjs models of any kind, the names are those in the file: checkpoint
    keys, of all variables; names of the weight manifest. Strings are bytes objects in an array
    of objects.

    Raises:
        InputError: The source is damaged, unsafe, or none we read.
    """
    options = ConvertOptions(**choices)
    with ExitStack() as stack:
        keras = _opened(stack, source, options, weights_only=True)
        return LoadedModel(source, options, keras, stack.pop_all())


def _named(graph: KerasGraph, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    stack = [(layer, prefix) for layer in reversed(graph.layers)]
    while stack:
        layer, before = stack.pop()
        path = f"{before}{layer.name}/"
        found.update((f"{path}{role}", tensor) for role, tensor in layer.weights.items())
        inner = layer.graph.layers if layer.graph else list(layer.children.values())
        stack.extend((child, path) for child in reversed(inner))
    return found


def _opened(
    stack: ExitStack, source: Source, options: ConvertOptions, *, weights_only: bool = False
) -> KerasModel:
    from tfjs_codec.readers import open_model

    opening = open_model(
        source,
        architecture=options.architecture,
        tags=options.tags,
        verify_checksums=options.verify_checksums,
        weights_only=weights_only,
        limits=options.limits,
    )
    return stack.enter_context(opening)


def _lowered(
    stack: ExitStack, source: Source, options: ConvertOptions, replace: Mapping[str, Source]
) -> tuple[KerasModel, TfjsModel, LoweringLog]:
    from tfjs_codec.errors import UsageError
    from tfjs_codec.lowering.trace import lower

    keras = _opened(stack, source, options)
    replacements = {}
    for name, one in replace.items():
        inner = _opened(stack, one, options)
        if inner.graph is None:
            raise UsageError(
                "a replacement needs an architecture, not only weights", path=inner.path
            )
        if keras.graph is None or name not in {layer.name for layer in keras.graph.walk()}:
            raise UsageError(f"there is no layer '{name}' to replace", path=keras.path)
        replacements[name] = inner.graph
    model, log = lower(
        keras,
        allow_approximate=options.allow_approximate,
        keep_training_config=options.training_config,
        replacements=replacements,
    )
    if options.metadata:
        model.metadata = dict(options.metadata)
    return keras, model, log


def _report(
    keras: KerasModel, destination: str, log: LoweringLog, planned: Plan, written: Written | None
) -> Report:
    from tfjs_codec.report.report import Report

    files: Sequence[tuple[str, int]] = [(s.name, s.nbytes) for s in planned.shards]
    return Report(
        source=keras.path,
        destination=destination,
        format=keras.format,
        files=tuple(written.files if written else files),
        weights=len(planned.entries),
        lowered=tuple((name, kind, tuple(into)) for name, kind, into in log.lowered),
        renamed=tuple(log.renamed),
        dropped=tuple(log.dropped),
        warnings=(*log.warnings, *planned.warnings),
        quantization=tuple(
            (loss.name, loss.dtype, loss.max_error, loss.step)
            for loss in (written.losses if written else ())
        ),
    )
