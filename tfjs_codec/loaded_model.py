"""What ``load`` returns: a model's weights, and its predictions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tfjs_codec.errors import UsageError, count
from tfjs_codec.view import TensorView

if TYPE_CHECKING:
    from contextlib import ExitStack

    import numpy as np
    from numpy.typing import NDArray

    from tfjs_codec.files.source import AnySource
    from tfjs_codec.ir.json_types import JsonObject
    from tfjs_codec.ir.loaded import Loaded
    from tfjs_codec.ir.tensors import LazyTensor
    from tfjs_codec.options import ConvertOptions
    from tfjs_codec.prediction.predictor import Inputs, Outputs, Predictor
    from tfjs_codec.readers.live_keras import LiveModel


class LoadedModel:
    """A model's weights, read when they are touched, and its predictions, until ``close``.

    Attributes:
        format: What was read: ``keras-h5``, ``keras-v3``, ``tfjs-layers``, ``tfjs-graph``, …
        keras_version: The version of Keras that wrote it, if it says so.
        weights: Arrays by name; of tfjs models as tfjs computes with them, dequantised. They can
            be read as long as *weights* exists, also without the model.
        tensors: The same as ``TensorView``: shapes and dtypes without reading
            values, and rows of big ones.
        topology: A tfjs model's ``modelTopology``.
        metadata: A tfjs model's ``userDefinedMetadata``.
        training_config: How the model was compiled, as its file says it.
        source: What was passed to ``load``.
        options: The options it was loaded with.
    """

    def __init__(
        self,
        source: AnySource | LiveModel,
        options: ConvertOptions,
        model: Loaded,
        stack: ExitStack,
    ) -> None:
        from tfjs_codec.ir.loaded import KerasModel, TensorFlowGraph, TfjsGraph, TfjsLayers

        found = model.layers_weights_or_constants() if isinstance(model, TensorFlowGraph) else model
        self.source, self.options, self._stack = source, options, stack
        self._model = model
        self._predictor: Predictor | None = None
        self._closed = False
        self.format: str = found.format
        self.keras_version: str | None = found.keras_version
        named = found.named_weights()
        self.weights: Mapping[str, NDArray[np.generic]] = _Weights(named, stack)
        self.tensors: Mapping[str, TensorView] = {
            name: TensorView(name, tensor) for name, tensor in named.items()
        }
        self.training_config: JsonObject | None = found.training_config
        self.topology: JsonObject | None = None
        if isinstance(found, TfjsLayers | TfjsGraph):
            self.topology = found.topology
        self.metadata: JsonObject | None = None
        if not isinstance(found, KerasModel):
            self.metadata = found.metadata

    def __repr__(self) -> str:
        state = "closed" if self._closed else count(len(self.weights), "tensor")
        return f"<LoadedModel {self.format}: {state}>"

    def predict(self, inputs: Inputs) -> Outputs:
        """Return what the model predicts for *inputs*, computed in numpy.

        No TensorFlow is needed, and no tfjs. Weights are read when their layer is computed, and
        values are dropped after their last use. A SavedModel computes its signature, or its Keras
        layers if it has none.

        Args:
            inputs: An array; a list of them in the order of the model; or a dict by the names of
                the inputs. Numbers of other types are cast if that keeps their values. Strings are
                texts or bytes.

        Returns:
            What ``predict`` of the model returns: an array, a list of arrays in the order of its
            outputs, or a dict (outputs that are a dict in Keras, a signature with several outputs,
            tfjs's ``structuredOutputKeys``). Strings are bytes.

        Raises:
            UsageError: A name, shape or type of *inputs* is none of the model's.
            UnsupportedModelError: There are only weights, or layers or operations that numpy
                cannot compute; ``problems`` lists them.
        """
        return self._runnable().predict(inputs)

    @property
    def input_names(self) -> list[str]:
        """What the inputs of ``predict`` are called, in order; raises as it does."""
        return list(self._runnable().program.graph.inputs)

    @property
    def output_names(self) -> list[str]:
        """What the outputs of ``predict`` are called, in order; raises as it does."""
        return list(self._runnable().program.graph.outputs)

    def _runnable(self) -> Predictor:
        if self._closed:
            raise UsageError("the model is closed", hint="Predict before close().")
        if self._predictor is None:
            from tfjs_codec.conversion.job import Job
            from tfjs_codec.prediction.predictor import Predictor

            self._predictor = Predictor(self._model, Job(self.options.begin(), self._stack))
        return self._predictor

    def close(self) -> None:
        """Close the source; weights that were not read are gone."""
        self._closed = True
        self._stack.close()

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Weights(Mapping[str, "NDArray[np.generic]"]):
    """Arrays read when they are asked for; *stack* keeps their file open."""

    def __init__(self, tensors: Mapping[str, LazyTensor], stack: ExitStack) -> None:
        self._tensors = tensors
        self._stack = stack

    def __getitem__(self, name: str) -> NDArray[np.generic]:
        return self._tensors[name].numpy()

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
