"""The weights of a Keras SavedModel: variables of the object graph, given to the layers.

A model's node has a child ``layer-N`` for every layer, which is recognised by the name in its Keras
metadata. The variables below a layer's node are its weights; the checkpoint says where their values
are. Names in the checkpoint are only the shortest paths its writer found and are not used.
"""

from __future__ import annotations

from collections.abc import Iterator

from tfjs_codec.errors import CorruptFileError, quote
from tfjs_codec.files.bundle_tensors import BundleTensor
from tfjs_codec.files.saved_model import SavedModelDir, checkpoint_keys
from tfjs_codec.files.tf_dtypes import dtype_name
from tfjs_codec.ir.keras import KerasGraph, KerasLayer
from tfjs_codec.ir.tensors import LazyTensor
from tfjs_codec.keras.variables import own_variables

# Children that hold a layer's variables once more, or variables that are not its weights.
_BOOKKEEPING = frozenset(
    (
        *("keras_api", "variables", "trainable_variables", "non_trainable_variables"),
        *("regularization_losses", "optimizer", "signatures"),
        *("_layers", "_callable_losses", "_random_generator", "_adapt_function", "token_counts"),
    )
)
_TABLES = frozenset(("StringLookup", "IntegerLookup", "TextVectorization"))


def attach_weights(graph: KerasGraph, model: SavedModelDir, *, verify: bool = True) -> None:
    """Set the weights of all layers of *graph*, which *model*'s root node is.

    Raises:
        CorruptFileError: a layer or the values of a variable are missing, or values have another
            shape or type than their variable.
    """
    _Weights(model, verify).model(graph, 0, "")


class _Weights:
    def __init__(self, model: SavedModelDir, verify: bool) -> None:
        self._model = model
        self._tensors = model.tensors(verify=verify)
        self._keys = checkpoint_keys(model, self._tensors)

    def model(self, graph: KerasGraph, number: int, where: str) -> None:
        """Give the layers of *graph* the weights below node *number*."""
        named: dict[str, int] = {}
        for child in self._model.nodes[number].children:
            if child.local_name.startswith(("layer-", "layer_with_weights-")):
                named.setdefault(self._name(child.node_id), child.node_id)
        for layer in graph.layers:
            if layer.class_name == "InputLayer" or layer.is_op:
                continue
            if layer.name not in named:
                raise self._corrupt("the object graph has no such layer", where + layer.name)
            self._layer(layer, named[layer.name], where + layer.name)

    def _layer(self, layer: KerasLayer, number: int, where: str) -> None:
        if layer.graph is not None:
            self.model(layer.graph, number, f"{where}/")
            return
        taken: set[int] = set()
        for path, inner in layer.children.items():
            found = self._model.follow(number, *path.split("/"))
            if found is None:
                raise self._corrupt(f"the object graph has no {quote(path)} of it", where)
            taken.add(found)
            self._layer(inner, found, f"{where}/{inner.name}")
        ranks = self._ranks(number)
        variables = list(self._variables(number, "", taken))
        variables.sort(key=lambda item: ranks.get(item[1], len(ranks)))  # stable
        own = own_variables(layer, 2)
        wanted = None if own is None else {variable.role for variable in own}
        for role, node in variables:
            if role not in layer.weights and (wanted is None or role in wanted):
                layer.weights[role] = self._tensor(node, f"{where}/{role}")
        if layer.class_name in _TABLES and not layer.config.get("vocabulary"):
            self._vocabulary(layer, number)

    def _variables(self, number: int, prefix: str, seen: set[int]) -> Iterator[tuple[str, int]]:
        """Yield role and node of the variables below *number*; one of a sublayer is under it.

        A recurrent layer's variables are its cell's; ``attention_output/kernel`` is the kernel of
        the layer of that name.
        """
        for child in self._model.nodes[number].children:
            if child.local_name in _BOOKKEEPING or child.node_id in seen:
                continue
            seen.add(child.node_id)
            node = self._model.nodes[child.node_id]
            if node.HasField("variable"):
                short = node.variable.name.rpartition("/")[2].removesuffix(":0")
                yield prefix + (short or child.local_name), child.node_id
            elif node.user_object.identifier.startswith("_tf_keras"):
                if node.user_object.identifier == "_tf_keras_metric":
                    continue
                inner = "" if child.local_name == "cell" else f"{self._name(child.node_id)}/"
                yield from self._variables(child.node_id, prefix + inner, seen)

    def _tensor(self, number: int, where: str) -> LazyTensor:
        variable = self._model.nodes[number].variable
        values = (a for a in self._keys.get(number, ()) if a.name == "VARIABLE_VALUE")
        key = next((attribute.checkpoint_key for attribute in values), None)
        tensor: BundleTensor | None = None if key is None else self._tensors.get(key)
        if tensor is None:
            raise self._corrupt("the checkpoint has no values of this variable", where)
        shape = tuple(dim.size for dim in variable.shape.dim)
        known = not variable.shape.unknown_rank and -1 not in shape
        if tensor.tf_dtype != dtype_name(variable.dtype) or (known and tensor.shape != shape):
            raise self._corrupt(
                f"the variable is {dtype_name(variable.dtype)}{list(shape)}, its values are "
                f"{tensor.tf_dtype}{list(tensor.shape)}",
                where,
            )
        return tensor

    def _ranks(self, number: int) -> dict[int, int]:
        """Return the position of nodes in the list ``variables``, which is in Keras's order."""
        listed = self._model.follow(number, "variables")
        if listed is None:
            return {}
        numbered = [
            (int(child.local_name), child.node_id)
            for child in self._model.nodes[listed].children
            if child.local_name.isascii() and child.local_name.isdigit()
        ]
        return {node: rank for rank, node in sorted(numbered)}

    def _vocabulary(self, layer: KerasLayer, number: int) -> None:
        """Put the words of an adapted lookup layer, by index, in its config."""
        for node in self._below(number):
            for attribute in self._keys.get(node, ()):
                words = self._tensors.get(f"{attribute.checkpoint_key}-keys")
                indices = self._tensors.get(f"{attribute.checkpoint_key}-values")
                if words is None or indices is None or words.shape != indices.shape:
                    continue
                pairs = zip(indices.numpy().ravel(), words.numpy().ravel().tolist(), strict=True)
                layer.config["vocabulary"] = [_word(word) for _, word in sorted(pairs)]
                return

    def _below(self, number: int) -> Iterator[int]:
        stack, seen = [number], {number}
        while stack:
            node = stack.pop()
            yield node
            for child in self._model.nodes[node].children:
                if child.node_id not in seen and child.local_name not in _BOOKKEEPING:
                    seen.add(child.node_id)
                    stack.append(child.node_id)

    def _name(self, number: int) -> str:
        metadata = self._model.json(number)
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return name if isinstance(name, str) else f"node {number}"

    def _corrupt(self, what: str, where: str) -> CorruptFileError:
        return CorruptFileError(what, path=self._model.path, where=f"layer {quote(where)}")


def _word(value: bytes | int) -> str | int:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else int(value)
