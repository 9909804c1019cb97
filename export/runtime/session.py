"""ServingSession: runs a SavedModel through TensorFlow's C library.

It needs the library and the protos of the tensorflow wheel, nothing else:
neither Keras nor hgr_tf, as in TensorFlow Serving.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from hgr_tf.export.runtime.c_library import (
    Buffer,
    Code,
    Output,
    SessionError,
    Status,
    load_library,
)
from hgr_tf.export.runtime.input_checks import check_tensors
from hgr_tf.export.runtime.tensors import to_array, to_tensor


class ServingSession:
    """A loaded SavedModel. Thread-safe.

    Args:
        folder: Holds saved_model.pb, tagged "serve".
        threads: Threads of an op and between ops; 0 lets TensorFlow choose.

    Attributes:
        signatures: SignatureDefs by name.

    Raises:
        SessionError: The SavedModel cannot be loaded.

    Example:
        >>> session = ServingSession("models/ranker/1")
        >>> session.call("serving_default", {"user": users, "item": items})
        {'probabilities': array([0.31, 0.07], dtype=float32)}
    """

    def __init__(self, folder: str | Path, threads: int = 0):
        self._c = load_library()
        self._graph = self._c.TF_NewGraph()
        try:
            self._session: int | None = self._load(str(folder), threads)
        except SessionError:
            self._c.TF_DeleteGraph(self._graph)
            raise
        self._outputs: dict[str, Output] = {}
        self._lock = threading.Lock()

    def call(
        self, signature: str, inputs: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Runs a signature on arrays by input name.

        Raises:
            ValueError: No such signature, or not its inputs.
            SessionError: An input has a wrong dtype, rank or size, or
                TensorFlow refused.
        """
        if signature not in self.signatures:
            raise ValueError(
                f"`signature` must be one of {sorted(self.signatures)}, "
                f"got {signature!r}"
            )
        definition = self.signatures[signature]
        if set(inputs) != set(definition.inputs):
            raise ValueError(
                f"`inputs` of {signature!r} must be {sorted(definition.inputs)}, "
                f"got {sorted(inputs)}"
            )
        inputs = {name: np.asarray(values) for name, values in inputs.items()}
        check_tensors(inputs, definition.inputs)
        feeds = {definition.inputs[k].name: v for k, v in inputs.items()}
        names = list(definition.outputs)
        fetched = self.run(feeds, [definition.outputs[n].name for n in names])
        return dict(zip(names, fetched, strict=True))

    def run(
        self,
        feeds: Mapping[str, np.ndarray],
        fetches: Sequence[str],
        timeout_ms: int | None = None,
    ) -> list[np.ndarray]:
        """Runs the graph.

        Args:
            feeds: Arrays by tensor name ("x:0"); strings as arrays of bytes
                with dtype object.
            fetches: Names of the tensors to compute.
            timeout_ms: Ends the run with DEADLINE_EXCEEDED when it is past.

        Raises:
            SessionError: A name is unknown, a dtype or shape is wrong, or an
                op failed.
        """
        alive: list[object] = []  # what the tensors point into
        tensors = [to_tensor(self._c, *feed, alive) for feed in feeds.items()]
        results = (ctypes.c_void_p * len(fetches))()
        status = Status(self._c)
        try:
            self._c.TF_SessionRun(
                self._session,
                self._run_options(timeout_ms, alive),
                (Output * len(feeds))(*map(self._output, feeds)),
                (ctypes.c_void_p * len(feeds))(*tensors),
                len(feeds),
                (Output * len(fetches))(*map(self._output, fetches)),
                results,
                len(fetches),
                None,
                0,
                None,
                status.pointer,
            )
            status.check()
            return [to_array(self._c, tensor) for tensor in filter(None, results)]
        finally:
            for tensor in [*tensors, *filter(None, results)]:
                self._c.TF_DeleteTensor(tensor)

    def close(self) -> None:
        """Frees the model; no call may be running or follow."""
        session, self._session = self._session, None
        if session:
            status = Status(self._c)
            self._c.TF_DeleteSession(session, status.pointer)
            self._c.TF_DeleteGraph(self._graph)

    def _load(self, folder: str, threads: int) -> int:
        config = config_pb2.ConfigProto(
            intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
        ).SerializeToString()
        status = Status(self._c)
        options = self._c.TF_NewSessionOptions()
        meta_graph = self._c.TF_NewBuffer()
        try:
            self._c.TF_SetConfig(options, config, len(config), status.pointer)
            status.check()
            session = self._c.TF_LoadSessionFromSavedModel(
                options,
                None,
                folder.encode(),
                (ctypes.c_char_p * 1)(b"serve"),
                1,
                self._graph,
                meta_graph,
                status.pointer,
            )
            status.check()
            data = ctypes.string_at(
                meta_graph.contents.data, meta_graph.contents.length
            )
        finally:
            self._c.TF_DeleteBuffer(meta_graph)
            self._c.TF_DeleteSessionOptions(options)
        definitions = meta_graph_pb2.MetaGraphDef.FromString(data).signature_def
        self.signatures: dict[str, meta_graph_pb2.SignatureDef] = {
            k: v for k, v in definitions.items() if not k.startswith("__")
        }
        return session

    def _output(self, name: str) -> Output:
        with self._lock:
            if name not in self._outputs:
                operation, _, index = name.partition(":")
                pointer = self._c.TF_GraphOperationByName(
                    self._graph, operation.encode()
                )
                if not pointer:
                    raise SessionError(
                        Code.INVALID_ARGUMENT, f"no tensor {name!r} in the graph"
                    )
                self._outputs[name] = Output(pointer, int(index or 0))
            return self._outputs[name]

    def _run_options(
        self, timeout_ms: int | None, alive: list[object]
    ) -> ctypes._Pointer[Buffer] | None:
        if timeout_ms is None:
            return None
        data = config_pb2.RunOptions(timeout_in_ms=timeout_ms).SerializeToString()
        buffer = Buffer(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))
        alive += [data, buffer]
        return ctypes.pointer(buffer)
