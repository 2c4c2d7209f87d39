"""One conversion: its options, its sources, its destination."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfjs_codec.files.source import AnySource
from tfjs_codec.ir.loaded import KerasModel, Loaded, TfjsLayers
from tfjs_codec.ir.tensors import Array
from tfjs_codec.options import ConvertOptions, no_effect
from tfjs_codec.progress import Progress
from tfjs_codec.readers import open_model

if TYPE_CHECKING:
    from tfjs_codec.files.memory import MemoryStage
    from tfjs_codec.files.remote import Place
    from tfjs_codec.readers.live_keras import LiveModel


# Options by what heeds them.
LAYERS = ("rename", "replace", "allow_approximate")
KERAS_GRAPH = (*LAYERS, "outputs")
SHARDS = ("shard_size_bytes", "single_shard", "split_weights_by_layer", "quantize", "rescale",
          "max_error", "max_bytes", "metadata", "checksums", "with_page")  # fmt: skip
_TRANSFORMING = frozenset(
    (
        *LAYERS,
        *SHARDS,
        "training_config",
        "dequantize",
        "structured_outputs",
        "signature_name",
        "outputs",
    )
)


@dataclass(frozen=True, slots=True)
class Job:
    """One conversion: how to do it, and the stack that keeps its sources open."""

    options: ConvertOptions
    stack: ExitStack
    replacements: Mapping[str, AnySource] = field(default_factory=dict)
    destination: Path | Place | MemoryStage | None = None  # None if only the plan is wanted
    progress: Progress | None = None
    samples: Mapping[str, Array] = field(default_factory=dict)  # inputs to correct biases for
    check_sources: Callable[[], None] = lambda: None

    def measure(self, sizes: Iterable[int]) -> Iterator[None]:
        """Return what tells, each time it is advanced, that the next of *sizes* bytes are done."""
        listed = list(sizes)
        done, total = 0, sum(listed)
        for size in listed:
            done += size
            if self.progress is not None:
                self.progress(done, total)
            yield

    def open(self, source: AnySource | LiveModel, *, strict: bool = False) -> Loaded:
        """Read *source*; its tensors stay readable until the job is done."""
        return self.repair(
            self.stack.enter_context(open_model(source, self.options, strict=strict))
        )

    def repair(self, model: Loaded) -> Loaded:
        """Return *model*; of a Layers model in the dialect of Keras 3, the Keras model it was."""
        if isinstance(model, TfjsLayers):
            from tfjs_codec.readers.tfjs_repair import repair

            return repair(model, self.options.limits)
        return model

    def check_heeded(self, noun: str, *heeded: str) -> None:
        """Raise UsageError for an option that means nothing for *noun*, which heeds *heeded*."""
        chosen = self.options.chosen | ({"replace"} if self.replacements else set())
        for name in sorted((chosen & _TRANSFORMING) - set(heeded)):
            raise no_effect(name, noun)

    def read_back(self, model: TfjsLayers) -> KerasModel:
        """Return the Keras model that the tfjs layers of *model* stand for."""
        from tfjs_codec.back.keras_model import read_keras_model

        return read_keras_model(model, self.options.limits)
