"""SavedGraph: what a SavedModel's files hold, read without loading it."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

if TYPE_CHECKING:
    from tensorflow.python.training.py_checkpoint_reader import CheckpointReader

READS = {"ReadVariableOp", "ResourceGather", "ResourceGatherNd"}
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class SavedGraph:
    """The graph, functions and checkpoint of a SavedModel.

    Args:
        folder: Holds saved_model.pb.

    Raises:
        ValueError: There is no saved_model.pb, it cannot be parsed, or it does
            not hold one graph.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        path = self.folder / "saved_model.pb"
        if not path.is_file():
            raise ValueError(f"{folder}: no saved_model.pb there")
        saved_model = saved_model_pb2.SavedModel()
        try:
            saved_model.ParseFromString(path.read_bytes())
        except Exception as error:
            raise ValueError(f"{path}: not a SavedModel: {error}") from error
        if len(saved_model.meta_graphs) != 1:
            raise ValueError(
                f"{path}: must hold one graph, got {len(saved_model.meta_graphs)}"
            )
        (self._meta_graph,) = saved_model.meta_graphs
        graph = self._meta_graph.graph_def
        self._nodes = {node.name: node for node in graph.node}
        self._functions = {f.signature.name: f for f in graph.library.function}
        # A cache on the class would keep every graph for good.
        self._function_reads = functools.cache(self._find_function_reads)

    @property
    def signatures(self) -> dict[str, meta_graph_pb2.SignatureDef]:
        """SignatureDefs by name, without the one that initializes tables."""
        return {
            name: signature
            for name, signature in self._meta_graph.signature_def.items()
            if not name.startswith("__")
        }

    @property
    def num_functions(self) -> int:
        """Functions in the library."""
        return len(self._functions)

    def op_counts(self) -> Counter[str]:
        """How often each op occurs in the graph and its functions."""
        return Counter(node.op for _, node in self._all_nodes())

    def constants(self) -> Iterator[tuple[str, np.ndarray]]:
        """Constants of more than one element: where, and the value."""
        for where, node in self._all_nodes():
            if node.op == "Const":
                value = tf.make_ndarray(node.attr["value"].tensor)
                if value.size > 1:
                    yield f"constant {where}{node.name}", value

    def variable_shapes(self) -> Counter[tuple[str, tuple[int, ...]]]:
        """How often each (dtype, shape) occurs among the variables."""
        return Counter(
            (
                tf.as_dtype(node.attr["dtype"].type).name,
                tuple(d.size for d in node.attr["shape"].shape.dim),
            )
            for node in self._variables()
        )

    def unread_variables(self) -> list[str]:
        """Names of the variables that no signature reads."""
        read = set()
        for node in self._reached_from_signatures():
            for position, source in enumerate(node.input):
                if self._node_reads(node, position):
                    read.add(_node_name(source))
        return sorted(v.name for v in self._variables() if v.name not in read)

    def checkpoint(self) -> dict[str, np.ndarray]:
        """Tensors of the checkpoint by key, without its description."""
        reader = self._reader()
        return {
            key: reader.get_tensor(key)
            for key in reader.get_variable_to_shape_map()
            if key != _OBJECT_GRAPH
        }

    def texts(self) -> dict[str, bytes]:
        """Everything that holds names: graph files, and the checkpoint's keys.

        The keys of variables.index are compressed by their common prefixes,
        so they are listed rather than searched as bytes.
        """
        texts = {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.suffix in (".pb", ".pbtxt", ".index")
        }
        reader = self._reader()
        keys = reader.get_variable_to_shape_map()
        texts["checkpoint keys"] = "\n".join(sorted(keys)).encode()
        texts["checkpoint objects"] = reader.get_tensor(_OBJECT_GRAPH)
        return texts

    def _reader(self) -> CheckpointReader:
        return tf.train.load_checkpoint(str(self.folder / "variables" / "variables"))

    def _all_nodes(self) -> Iterator[tuple[str, node_def_pb2.NodeDef]]:
        for node in self._nodes.values():
            yield "", node
        for name, function in self._functions.items():
            for node in function.node_def:
                yield f"{name}: ", node

    def _variables(self) -> list[node_def_pb2.NodeDef]:
        # The string variables hold the paths of assets.
        return [
            node
            for node in self._nodes.values()
            if node.op == "VarHandleOp" and node.attr["dtype"].type != tf.string
        ]

    def _reached_from_signatures(self) -> Iterator[node_def_pb2.NodeDef]:
        names = [
            _node_name(info.name)
            for signature in self.signatures.values()
            for info in signature.outputs.values()
        ]
        seen = set()
        while names:
            name = names.pop()
            if name in seen:
                continue
            seen.add(name)
            yield self._nodes[name]
            names.extend(_node_name(source) for source in self._nodes[name].input)

    def _node_reads(self, node: node_def_pb2.NodeDef, position: int) -> bool:
        """Whether a node reads the variable that is its input at `position`."""
        if node.op in READS:
            return True
        # The condition of an If comes before the arguments of its branches.
        argument = position - (node.op in ("If", "StatelessIf", "Case"))
        return any(
            self._function_reads(name, argument)
            for attr in node.attr.values()
            for name in _function_names(attr)
        )

    def _find_function_reads(self, name: str, argument: int) -> bool:
        function = self._functions.get(name)
        if function is None or not 0 <= argument < len(function.signature.input_arg):
            return False
        names = {function.signature.input_arg[argument].name}
        for node in function.node_def:  # in topological order
            for position, source in enumerate(node.input):
                if _node_name(source) in names:
                    if node.op == "Identity":
                        names.add(node.name)
                    elif self._node_reads(node, position):
                        return True
        return False


def _node_name(tensor: str) -> str:
    return tensor.lstrip("^").split(":")[0]


def _function_names(attr: attr_value_pb2.AttrValue) -> list[str]:
    if attr.HasField("func"):
        return [attr.func.name]
    return [func.name for func in attr.list.func]
