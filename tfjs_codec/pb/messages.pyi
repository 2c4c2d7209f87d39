# The messages of proto/*.proto, for type checkers. Made by proto/compile.py.
# ruff: noqa: N802

from collections.abc import Iterable, MutableMapping, Sequence
from typing import TypeVar, overload

from typing_extensions import Self

_T = TypeVar("_T")

class Message:
    def __init__(self, **fields: object) -> None: ...
    @classmethod
    def FromString(cls, data: bytes) -> Self: ...
    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...
    def CopyFrom(self, other: Self) -> None: ...
    def HasField(self, name: str) -> bool: ...
    def ListFields(self) -> Sequence[tuple[Field, Sequence[object]]]: ...
    def SetInParent(self) -> None: ...
    def WhichOneof(self, name: str) -> str | None: ...

class Field:
    name: str

class Repeated(Sequence[_T]):
    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_T]: ...
    def __len__(self) -> int: ...
    def append(self, value: _T) -> None: ...
    def extend(self, values: Iterable[_T]) -> None: ...

class Messages(Repeated[_T]):
    def add(self, **fields: object) -> _T: ...

class TensorShapeProto(Message):
    class Dim(Message):
        size: int
        name: str

    dim: Messages[TensorShapeProto.Dim]
    unknown_rank: bool

class VersionDef(Message):
    producer: int
    min_consumer: int
    bad_consumers: Repeated[int]

class TensorProto(Message):
    dtype: int
    tensor_shape: TensorShapeProto
    version_number: int
    tensor_content: bytes
    float_val: Repeated[float]
    double_val: Repeated[float]
    int_val: Repeated[int]
    string_val: Repeated[bytes]
    scomplex_val: Repeated[float]
    int64_val: Repeated[int]
    bool_val: Repeated[bool]
    dcomplex_val: Repeated[float]
    half_val: Repeated[int]
    resource_handle_val: Messages[ResourceHandleProto]
    variant_val: Messages[VariantTensorDataProto]
    uint32_val: Repeated[int]
    uint64_val: Repeated[int]
    float8_val: bytes

class ResourceHandleProto(Message):
    device: str
    container: str
    name: str
    hash_code: int
    maybe_type_name: str

class VariantTensorDataProto(Message):
    type_name: str
    metadata: bytes
    tensors: Messages[TensorProto]

class AttrValue(Message):
    class ListValue(Message):
        s: Repeated[bytes]
        i: Repeated[int]
        f: Repeated[float]
        b: Repeated[bool]
        type: Repeated[int]
        shape: Messages[TensorShapeProto]
        tensor: Messages[TensorProto]
        func: Messages[NameAttrList]

    list: AttrValue.ListValue
    s: bytes
    i: int
    f: float
    b: bool
    type: int
    shape: TensorShapeProto
    tensor: TensorProto
    placeholder: str
    func: NameAttrList

class NameAttrList(Message):
    name: str
    attr: MutableMapping[str, AttrValue]

class NodeDef(Message):
    name: str
    op: str
    input: Repeated[str]
    device: str
    attr: MutableMapping[str, AttrValue]

class OpDef(Message):
    class ArgDef(Message):
        name: str
        description: str
        type: int
        type_attr: str
        number_attr: str
        type_list_attr: str
        is_ref: bool

    class AttrDef(Message):
        name: str
        type: str
        default_value: AttrValue
        description: str
        has_minimum: bool
        minimum: int
        allowed_values: AttrValue

    name: str
    input_arg: Messages[OpDef.ArgDef]
    output_arg: Messages[OpDef.ArgDef]
    attr: Messages[OpDef.AttrDef]
    summary: str
    description: str
    is_aggregate: bool
    is_stateful: bool
    is_commutative: bool
    allows_uninitialized_input: bool
    control_output: Repeated[str]

class OpList(Message):
    op: Messages[OpDef]

class FunctionDef(Message):
    class ArgAttrs(Message):
        attr: MutableMapping[str, AttrValue]

    signature: OpDef
    node_def: Messages[NodeDef]
    ret: MutableMapping[str, str]
    attr: MutableMapping[str, AttrValue]
    control_ret: MutableMapping[str, str]
    arg_attr: MutableMapping[int, FunctionDef.ArgAttrs]
    resource_arg_unique_id: MutableMapping[int, int]

class GradientDef(Message):
    function_name: str
    gradient_func: str

class FunctionDefLibrary(Message):
    function: Messages[FunctionDef]
    gradient: Messages[GradientDef]

class GraphDef(Message):
    node: Messages[NodeDef]
    library: FunctionDefLibrary
    version: int
    versions: VersionDef

class SavedModel(Message):
    saved_model_schema_version: int
    meta_graphs: Messages[MetaGraphDef]

class MetaGraphDef(Message):
    class MetaInfoDef(Message):
        meta_graph_version: str
        stripped_op_list: OpList
        tags: Repeated[str]
        tensorflow_version: str
        tensorflow_git_version: str
        stripped_default_attrs: bool
        function_aliases: MutableMapping[str, str]

    meta_info_def: MetaGraphDef.MetaInfoDef
    graph_def: GraphDef
    saver_def: SaverDef
    collection_def: MutableMapping[str, CollectionDef]
    signature_def: MutableMapping[str, SignatureDef]
    asset_file_def: Messages[AssetFileDef]
    object_graph_def: SavedObjectGraph

class SaverDef(Message):
    filename_tensor_name: str
    save_tensor_name: str
    restore_op_name: str
    max_to_keep: int
    sharded: bool
    keep_checkpoint_every_n_hours: float
    version: int

class CollectionDef(Message):
    class NodeList(Message):
        value: Repeated[str]

    class BytesList(Message):
        value: Repeated[bytes]

    class Int64List(Message):
        value: Repeated[int]

    class FloatList(Message):
        value: Repeated[float]

    class AnyList(Message):
        value: Messages[Any]

    node_list: CollectionDef.NodeList
    bytes_list: CollectionDef.BytesList
    int64_list: CollectionDef.Int64List
    float_list: CollectionDef.FloatList
    any_list: CollectionDef.AnyList

class Any(Message):
    type_url: str
    value: bytes

class TensorInfo(Message):
    class CooSparse(Message):
        values_tensor_name: str
        indices_tensor_name: str
        dense_shape_tensor_name: str

    class CompositeTensor(Message):
        components: Messages[TensorInfo]

    name: str
    coo_sparse: TensorInfo.CooSparse
    composite_tensor: TensorInfo.CompositeTensor
    dtype: int
    tensor_shape: TensorShapeProto

class SignatureDef(Message):
    inputs: MutableMapping[str, TensorInfo]
    outputs: MutableMapping[str, TensorInfo]
    method_name: str
    defaults: MutableMapping[str, TensorProto]

class AssetFileDef(Message):
    tensor_info: TensorInfo
    filename: str

class SavedObjectGraph(Message):
    nodes: Messages[SavedObject]
    concrete_functions: MutableMapping[str, SavedConcreteFunction]

class ObjectReference(Message):
    node_id: int
    local_name: str

class SavedObject(Message):
    children: Messages[ObjectReference]
    user_object: SavedUserObject
    asset: SavedAsset
    function: SavedFunction
    variable: SavedVariable
    bare_concrete_function: SavedBareConcreteFunction
    constant: SavedConstant
    resource: SavedResource
    captured_tensor: CapturedTensor
    saveable_objects: MutableMapping[str, SaveableObject]
    registered_name: str
    dependencies: Messages[ObjectReference]

class SavedUserObject(Message):
    identifier: str
    version: VersionDef
    metadata: str

class SavedAsset(Message):
    asset_file_def_index: int

class SavedFunction(Message):
    concrete_functions: Repeated[str]
    function_spec: FunctionSpec

class SavedVariable(Message):
    dtype: int
    shape: TensorShapeProto
    trainable: bool
    name: str
    device: str

class SavedBareConcreteFunction(Message):
    concrete_function_name: str
    argument_keywords: Repeated[str]
    allowed_positional_arguments: int

class SavedConstant(Message):
    operation: str

class SavedResource(Message):
    device: str

class CapturedTensor(Message):
    name: str
    concrete_function: str

class SaveableObject(Message):
    save_function: int
    restore_function: int

class SavedConcreteFunction(Message):
    bound_inputs: Repeated[int]
    canonicalized_input_signature: StructuredValue
    output_signature: StructuredValue

class SavedMetadata(Message):
    class SavedObject(Message):
        node_id: int
        node_path: str
        identifier: str
        metadata: str
        version: VersionDef

    nodes: Messages[SavedMetadata.SavedObject]

class FunctionSpec(Message):
    fullargspec: StructuredValue
    is_method: bool
    input_signature: StructuredValue

class StructuredValue(Message):
    none_value: NoneValue
    float64_value: float
    int64_value: int
    string_value: str
    bool_value: bool
    tensor_spec_value: TensorSpecProto
    list_value: ListValue
    tuple_value: TupleValue
    dict_value: DictValue
    named_tuple_value: NamedTupleValue

class NoneValue(Message): ...

class TensorSpecProto(Message):
    name: str
    shape: TensorShapeProto
    dtype: int

class ListValue(Message):
    values: Messages[StructuredValue]

class TupleValue(Message):
    values: Messages[StructuredValue]

class DictValue(Message):
    fields: MutableMapping[str, StructuredValue]

class PairValue(Message):
    key: str
    value: StructuredValue

class NamedTupleValue(Message):
    name: str
    values: Messages[PairValue]

class BundleHeaderProto(Message):
    num_shards: int
    endianness: int
    version: VersionDef

class TensorSliceProto(Message):
    class Extent(Message):
        start: int
        length: int

    extent: Messages[TensorSliceProto.Extent]

class BundleEntryProto(Message):
    dtype: int
    shape: TensorShapeProto
    shard_id: int
    offset: int
    size: int
    crc32c: int
    slices: Messages[TensorSliceProto]

class TrackableObjectGraph(Message):
    class TrackableObject(Message):
        class SerializedTensor(Message):
            name: str
            full_name: str
            checkpoint_key: str

        children: Messages[ObjectReference]
        attributes: Messages[TrackableObjectGraph.TrackableObject.SerializedTensor]

    nodes: Messages[TrackableObjectGraph.TrackableObject]

class VariableDef(Message):
    class SaveSliceInfo(Message):
        full_name: str
        full_shape: Repeated[int]
        var_offset: Repeated[int]
        var_shape: Repeated[int]

    variable_name: str
    initializer_name: str
    snapshot_name: str
    save_slice_info_def: VariableDef.SaveSliceInfo
    is_resource: bool
    initial_value_name: str
    trainable: bool
