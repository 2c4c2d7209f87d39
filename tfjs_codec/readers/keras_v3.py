"""The ``.keras`` format, and the tree of variables that ``.weights.h5`` files share with it.

A zip, or a directory, of ``metadata.json``, ``config.json`` and ``model.weights.h5``, or of
``model.weights.json`` and the files with parts of the weights that it lists. In these a layer's
variables are ``<path>/vars/0, 1, …`` in order of creation, whatever is trained. The path comes
from classes and attributes, never from layer names: the layers of a model are
``layers/<snake_case of the class>``, with ``_1``, ``_2``, … for repeats of a class; a wrapped layer
is under the attribute that holds it (Keras 2.15, tf_keras and 3.x). Keras 2.12 and 2.13 write
``_layer_checkpoint_dependencies`` for ``layers``, and count a layer with weights twice, because
they visit it twice: ``dense``, ``dense_2``, ``dense_4``. Keras 2.14 has that word, too, and counts
once. Operations of Keras 3 are not counted. On Windows, ``layers\\dense`` is one name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from tfjs_codec.errors import CorruptFileError, UnknownFormatError, UsageError, count, quote
from tfjs_codec.files import strict_json
from tfjs_codec.files.archive import ArchiveFolder
from tfjs_codec.files.detection import model_files
from tfjs_codec.files.guess import guess_zip, several_models
from tfjs_codec.files.hdf5 import H5File
from tfjs_codec.files.source import KERAS_CONFIG, Folder, Source
from tfjs_codec.ir.json_types import Json
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.layers import Weight
from tfjs_codec.ir.loaded import KerasModel, Weights
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.keras.classes import Variable
from tfjs_codec.keras.names import snake_case
from tfjs_codec.keras.variables import own_variables, slots
from tfjs_codec.limits import Limits
from tfjs_codec.readers.architecture import NO_ARCHITECTURE, Architecture, read_architecture
from tfjs_codec.readers.input_shape import infer_input_shapes

_WEIGHTS = "model.weights.h5"
_SHARDS = "model.weights.json"
_OLD = "_layer_checkpoint_dependencies"
_NOT_LAYERS = ("optimizer", "metrics", "_optimizer", "_metrics", "loss_tracker", "compile_metrics")

# Classes that Keras exports, and writes into configs, under another name than Python knows.
_PYTHON_NAMES = {"GroupQueryAttention": "GroupedQueryAttention", "Model": "Functional"}


@dataclass(slots=True)
class Store:
    """The variables of a file: ``vars`` maps a layer's path to its tensors by index."""

    path: str
    where: str
    vars: dict[str, dict[str, LazyTensor]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    asset: Callable[[str], bytes | None] = lambda _: None

    def add(self, variables: Iterable[tuple[str, LazyTensor]]) -> None:
        """Add *variables*, whose paths are such as :func:`is_variable` tells."""
        for path, tensor in variables:
            group, _, index = _slashed(path).rpartition("/")
            home = group.removesuffix("vars").removesuffix("/")
            self.vars.setdefault(home, {})[index] = tensor

    def add_file(self, file: H5File) -> None:
        """Add the variables of layers in *file*; other datasets are not even opened."""
        self.add(file.walk(is_variable))

    def has(self, path: str) -> bool:
        """Tell whether there are variables at or below *path*."""
        return path in self.vars or any(key.startswith(f"{path}/") for key in self.vars)

    def error(self, path: str, what: str) -> CorruptFileError:
        where = ": ".join(part for part in (self.where, path) if part)
        return CorruptFileError(what, path=self.path, where=where)


def is_variable(path: str) -> bool:
    """Tell whether *path* in a file is that of a variable of a layer."""
    in_vars = f"/{_slashed(path)}".rpartition("/")[0].endswith("/vars")
    return in_vars and not path.startswith(_NOT_LAYERS)


def _slashed(path: str) -> str:
    return path.replace("\\", "/")  # Windows writes some


def h5_store(file: H5File) -> Store:
    """Return the variables of one HDF5 file."""
    store = Store(file.path, file.where)
    store.add_file(file)
    return store


def read(
    folder: Folder, open_h5: Callable[[Source], H5File], path: str, limits: Limits
) -> KerasModel:
    """Return the model in *folder*; *open_h5* opens a file of it and keeps it open."""
    metadata = _read_json(folder, "metadata.json", path, limits)
    config = _read_json(folder, KERAS_CONFIG, path, limits)
    if config is None:
        several = model_files(folder)
        seen = several_models("zip", several) if several else guess_zip(folder.names())
        what = f"this is {seen.what}" if seen else "the zip has neither config.json nor model.json"
        hint = seen.hint if seen else "A .keras file has the one, a zipped tfjs model the other."
        raise UnknownFormatError(what, path=path, hint=hint)
    version = metadata.get("keras_version") if isinstance(metadata, dict) else None
    version = version if isinstance(version, str) else None
    found = read_architecture(
        config, path=path, where="config.json", keras_version=version, limits=limits, whole=True
    )
    warnings = list(found.warnings)
    if metadata is None:
        warnings.append("the file has no metadata.json")
    store = Store(path, _WEIGHTS, asset=partial(_read_asset, folder, path, limits))
    for file in _weight_files(folder, path, limits):
        store.add_file(open_h5(file))
    warnings += load_tree(found, store)
    warnings += infer_input_shapes(found.graph, path)
    compiled = config.get("compile_config") if isinstance(config, dict) else None
    return found.as_model("keras-v3", warnings, training_config=compiled or None)


def read_shards(
    source: Source, open_h5: Callable[[Source], H5File], architecture: Json, limits: Limits
) -> KerasModel | Weights:
    """Return the weights that *source*, a ``….weights.json``, lists; in layers, given these.

    *architecture* is a parsed ``model.to_json()`` or None.

    Raises:
        UsageError: The files beside it are out of reach.
    """
    path, folder = source.path, source.folder
    if folder is None:
        raise UsageError("the index of weights, whose values are in files beside it", path=path)
    data = source.read("json_bytes", limits)
    index: Json = strict_json.load_config(data, path=path, where="", limits=limits)
    files = [
        open_h5(folder.find(one, path=path, limits=limits)) for one in shard_names(index, path)
    ]
    if architecture is None:
        loose = [pair for file in files for pair in file.walk()]
        return Weights(
            path=path, format="keras-v3-weights", named_by="keras",
            weights=tuple(Weight(name, tensor) for name, tensor in loose),
            warnings=(NO_ARCHITECTURE.format(tensors=count(len(loose), "tensor")),),
        )  # fmt: skip
    found = read_architecture(
        architecture, path=path, where="architecture", limits=limits, whole=True
    )
    store = Store(path, "")
    for file in files:
        store.add_file(file)
    warnings = [*found.warnings, *load_tree(found, store)]
    warnings += infer_input_shapes(found.graph, path)
    return found.as_model("keras-v3-weights", warnings)


def _read_asset(folder: Folder, path: str, limits: Limits, name: str) -> bytes | None:
    name = f"assets/{name}"
    if name not in folder:
        return None
    return folder.find(name, path=path, limits=limits).read("json_bytes", limits)


def _read_json(folder: Folder, name: str, path: str, limits: Limits) -> Json:
    if name not in folder:
        return None
    if isinstance(folder, ArchiveFolder):  # compares the checksum, too
        data = folder.archive.read(f"{folder.prefix}{name}", limits.json_bytes)
    else:
        data = folder.find(name, path=path, limits=limits).read("json_bytes", limits)
    value: Json = strict_json.load_config(data, path=path, where=name, limits=limits)
    return value


def _weight_files(folder: Folder, path: str, limits: Limits) -> list[Source]:
    """Return the files that hold weights: one, or those its index lists."""
    names = [_WEIGHTS]
    if _WEIGHTS not in folder:
        index = _read_json(folder, _SHARDS, path, limits)
        names = shard_names(index, path) if index is not None else []
    for name in names or [_WEIGHTS]:
        if name not in folder:
            kind = "zip" if isinstance(folder, ArchiveFolder) else "directory"
            raise CorruptFileError(f"the {kind} has no {quote(name)}", path=path)
    return [folder.find(name, path=path, limits=limits) for name in names]


def shard_names(index: Json, path: str) -> list[str]:
    """Return the files a ``….weights.json`` lists, each once, in order."""
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict):
        raise CorruptFileError("weight_map is not an object", path=path, where=_SHARDS)
    names: dict[str, None] = {}
    for value in weight_map.values():
        for name in value if isinstance(value, list) else [value]:
            if not isinstance(name, str):
                raise CorruptFileError("a file name is not text", path=path, where=_SHARDS)
            names[name] = None
    return list(names)


def load_tree(found: Architecture, store: Store) -> list[str]:
    """Give all layers of *found* their weights from *store*; return warnings.

    Raises:
        CorruptFileError: variables that the config needs are missing, or there are too many.
    """
    loader = _Loader(store, found, _OLD if store.has(_OLD) else "layers")
    loader.graph(found.graph, "")
    loader.fill_shared()
    left = [
        key for key in store.vars if key not in store.used and key and "seed_generator" not in key
    ]
    if not left:
        return []
    shown = ", ".join(map(quote, left[:3]))
    return [f"variables of the file that belong to no layer were left out: {shown}"]


@dataclass(slots=True)
class _Loader:
    """Walks the layers as Keras walks them when it saves."""

    store: Store
    found: Architecture
    word: str
    missing: list[tuple[KerasLayer, str]] = field(default_factory=list)

    def graph(self, graph: KerasGraph, path: str) -> None:
        """Load the layers of a model whose group is *path*."""
        base = f"{path}/{self.word}" if path else self.word
        self.store.used.add(path)
        named = list(self._name_groups(graph, 1))
        if self.word == _OLD and not self._all_there(named, base):
            twice = list(self._name_groups(graph, 2))
            named = twice if self._all_there(twice, base) else named
        for layer, name in named:
            self.layer(layer, f"{base}/{name}")

    def _all_there(self, named: list[tuple[KerasLayer, str]], base: str) -> bool:
        """Tell whether all layers that have weights have a group."""
        return all(
            self.store.has(f"{base}/{name}")
            for layer, name in named
            if any(slots(layer, self.found.generation))
        )

    def _name_groups(self, graph: KerasGraph, step: int) -> Iterator[tuple[KerasLayer, str]]:
        """Yield the layers with their group names; one with weights counts for *step*."""
        count: dict[str, int] = defaultdict(int)
        for layer in graph.layers:
            if layer.is_op and self.found.generation == 3:
                continue
            name = self.found.python_class[layer]
            snake = snake_case(_PYTHON_NAMES.get(name, name))
            number = count[snake]
            weighs = step > 1 and any(slots(layer, self.found.generation))
            count[snake] += step if weighs else 1
            yield layer, f"{snake}_{number}" if number else snake

    def layer(self, layer: KerasLayer, path: str) -> None:
        """Load *layer*, whose group is *path*, and the layers inside."""
        if layer.graph is not None:
            self.graph(layer.graph, path)
            return
        own = own_variables(layer)
        if own is None:
            self._load_unknown(layer, path)
            return
        by_path: dict[str, list[Variable]] = {}
        for variable in own:
            by_path.setdefault(variable.path, []).append(variable)
        if layer.is_op:
            return
        if "vocabulary" in layer.config and not layer.config["vocabulary"]:
            self._vocabulary(layer, path)
        for sub, variables in by_path.items():
            self._variables(layer, self._sub_path(path, sub), variables)
        self.store.used.update((path, f"{path}/cell"))
        for key, child in layer.children.items():
            self.layer(child, f"{path}/{self._child_name(layer, key, child)}")

    def _vocabulary(self, layer: KerasLayer, path: str) -> None:
        """Put what an adapted layer learned into its config: its words, one a line, and weights."""
        text = self.store.asset(f"{path}/vocabulary.txt")
        if text is None:
            return
        words = text.decode("utf-8", "replace").split("\n")
        layer.config["vocabulary"] = words
        if layer.class_name == "IntegerLookup":
            if not all(word.strip().removeprefix("-").isdecimal() for word in words):
                raise self.store.error(path, "the vocabulary holds words that are no whole numbers")
            layer.config["vocabulary"] = [int(word) for word in words]
        for home in (path, f"{path}/_lookup_layer"):
            weights = self.store.vars.get(home, {}).get("idf_weights")
            if weights is not None:
                layer.config["idf_weights"] = weights.numpy().ravel().tolist()
                self.store.used.update((path, home))

    def _child_name(self, layer: KerasLayer, key: str, child: KerasLayer) -> str:
        """StackedRNNCells keep their cells in a list, named as layers are."""
        if not key.startswith("cells/"):
            return key
        snake = snake_case(self.found.python_class[child])
        number = sum(
            snake_case(self.found.python_class[other]) == snake
            for name, other in layer.children.items()
            if int(name[6:]) < int(key[6:])
        )
        return f"cells/{snake}_{number}" if number else f"cells/{snake}"

    def _sub_path(self, path: str, sub: str) -> str:
        """Attributes are private in some versions: ``query_dense``, ``_query_dense``."""
        if not sub:
            return path
        private = f"{path}/_{sub}"
        return private if private in self.store.vars else f"{path}/{sub}"

    def _variables(self, layer: KerasLayer, path: str, variables: list[Variable]) -> None:
        tensors = self.store.vars.get(path)
        if tensors is None:
            self.missing.append((layer, path))
            return
        self.store.used.add(path)
        self._check_count(layer, path, variables, tensors)
        for index, variable in enumerate(variables):
            layer.weights[variable.role] = tensors[str(index)]

    def _check_count(
        self,
        layer: KerasLayer,
        path: str,
        variables: list[Variable],
        tensors: Mapping[str, LazyTensor],
    ) -> None:
        wanted = [str(index) for index in range(len(variables))]
        if sorted(tensors) != sorted(wanted):
            roles = ", ".join(variable.role for variable in variables)
            raise self.store.error(
                path,
                f"layer {quote(layer.name)}: the file holds {count(len(tensors), 'weight')}, "
                f"the config needs {len(wanted)} ({roles})",
            )

    def _load_unknown(self, layer: KerasLayer, path: str) -> None:
        """Give a layer of unknown class all there is below its path."""
        for key, tensors in self.store.vars.items():
            if key == path or key.startswith(f"{path}/"):
                self.store.used.add(key)
                prefix = key[len(path) + 1 :]
                for index in sorted(tensors, key=lambda text: (len(text), text)):
                    layer.weights[f"{prefix}/{index}" if prefix else index] = tensors[index]

    def fill_shared(self) -> None:
        """Layers shared between models are stored once, where Keras met them first."""
        loaded: dict[tuple[str, str], KerasLayer] = {}
        for layer in self.found.graph.walk():
            if layer.weights:
                loaded.setdefault((layer.class_name, layer.name), layer)
        for layer, path in self.missing:
            twin = loaded.get((layer.class_name, layer.name))
            if twin is None or twin is layer:
                need = ", ".join(variable.role for variable in own_variables(layer) or ())
                raise self.store.error(
                    path,
                    f"layer {quote(layer.name)}: the file holds no weights, "
                    f"the config needs {need}",
                )
            layer.weights = dict(twin.weights)
