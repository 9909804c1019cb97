"""verify: proof that an exported model holds nothing that only training needs."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import tensorflow as tf

from hgr_tf.export.checking.leak_report import Leak, Report
from hgr_tf.export.checking.saved_graph import SavedGraph
from hgr_tf.export.options import ExportOptions
from hgr_tf.export.ranker import ranker_of
from hgr_tf.export.saving.writer import write
from hgr_tf.features import FeatureEncoding
from hgr_tf.functional.graph import is_functional

_Key = TypeVar("_Key")
RESERVED_NAMES = (
    "hierarchical_groupwise_ranker",
    "hierarchical_groupwise_loss",
    "residual_vector_quantizer",
    "codewords",
    "codebook",
    "side_tower",
)
"""Scope names of the training-only parts, whatever the model at hand."""

SHORTEST_NAME = 6
"""Shorter names of layers are not looked for: files of weights and hashes hold
them by chance."""


def verify(
    folder: str | Path,
    model: tf.keras.Model | None = None,
    encoding: FeatureEncoding | None = None,
) -> Report:
    """Looks for training-only parts in a SavedModel.

    values      No tensor of the checkpoint and no constant of the graph
                equals a weight of the model outside its ranker, or of the
                ranker's side towers, but for one that equals the ranker's own,
                such as a fresh moving average.
    reads       Some signature reads every variable.
    names       No name of a training-only layer in a graph file, a checkpoint
                key or the checkpoint's description.
    optimizer   No optimizer state, no Keras metadata.
    inputs      No signature takes a feature that only training knows; looked for
                where the spec has any.
    twin        Op counts, function count and variable shapes equal those of
                a ranker that was never wrapped, exported alike.

    Args:
        folder: A version of a model, holding saved_model.pb.
        model: What was exported. Without it `values` and `twin` are skipped;
            `values` is for a ranker alone too, which nothing is outside of.
        encoding: What it was exported with.

    Returns:
        The report; see `Report.raise_if_leaking`.

    Raises:
        ValueError: `folder` holds no SavedModel.
    """
    graph = SavedGraph(folder)
    report = Report(Path(folder))
    checks: dict[str, Iterable[tuple[str, str]]] = {
        "reads": _unread(graph),
        "optimizer": _optimizer_state(graph),
    }
    if encoding is not None and encoding.spec.training_only:
        checks["inputs"] = _taken(graph, encoding.spec.training_only)
    if model is None:
        report.skipped = dict.fromkeys(("values", "twin"), "the model")
        checks["names"] = _named(graph, RESERVED_NAMES, own_text=b"")
    else:
        private = _private_digests(model)
        if private:
            checks["values"] = _equal_values(graph, private)
        else:
            report.skipped["values"] = "weights outside the ranker"
        with tempfile.TemporaryDirectory() as scratch:
            twin = _twin(model, encoding, ExportOptions.load(folder), scratch)
            own_text = b"\n".join(twin.texts().values())
            names = RESERVED_NAMES + _training_only_names(model)
            checks["names"] = _named(graph, names, own_text)
            checks["twin"] = _unlike(graph, twin)
    for name, found in checks.items():
        leaks = [Leak(name, where, what) for where, what in found]
        report.leaks += leaks
        if not leaks:
            report.passed.append(name)
    return report


def _unread(graph: SavedGraph) -> list[tuple[str, str]]:
    return [
        (f"variable {name}", "no signature reads it")
        for name in graph.unread_variables()
    ]


def _taken(graph: SavedGraph, names: Collection[str]) -> Iterator[tuple[str, str]]:
    for key, signature in graph.signatures.items():
        for name in sorted(set(signature.inputs) & set(names)):
            yield f"signature {key}", f"takes {name!r}, which only training knows"


def _optimizer_state(graph: SavedGraph) -> Iterator[tuple[str, str]]:
    for key in sorted(graph.checkpoint()):
        parts = key.split("/")
        if ".OPTIMIZER_SLOT" in parts or {"optimizer", "_optimizer"} & set(parts):
            yield f"checkpoint key {key}", "optimizer state"
    if (graph.folder / "keras_metadata.pb").exists():
        yield "keras_metadata.pb", "a whole Keras model was saved"


def _private_digests(model: tf.keras.Model) -> dict[bytes, str]:
    own = {d for v in ranker_of(model).variables for d in _digests(np.asarray(v))}
    return {
        digest: name
        for name, value in _training_only_weights(model)
        for digest in _digests(value) - own
    }


def _equal_values(
    graph: SavedGraph, private: dict[bytes, str]
) -> Iterator[tuple[str, str]]:
    tensors = [(f"checkpoint key {k}", v) for k, v in graph.checkpoint().items()]
    for where, value in [*tensors, *graph.constants()]:
        names = {private[d] for d in _digests(value) if d in private}
        if names:
            yield where, f"equals the training-only weight {min(names)}"


def _named(
    graph: SavedGraph, names: Iterable[str], own_text: bytes
) -> Iterator[tuple[str, str]]:
    # A name that the twin holds too is the ranker's own, such as a feature's.
    foreign = [name for name in dict.fromkeys(names) if name.encode() not in own_text]
    for where, text in graph.texts().items():
        for name in foreign:
            if name.encode() in text:
                yield where, f"holds the training-only name {name!r}"


def _unlike(graph: SavedGraph, twin: SavedGraph) -> Iterator[tuple[str, str]]:
    yield from _unlike_counts("ops", graph.op_counts(), twin.op_counts())
    yield from _unlike_counts(
        "variables", graph.variable_shapes(), twin.variable_shapes()
    )
    if graph.num_functions != twin.num_functions:
        yield "functions", f"{graph.num_functions}, expected {twin.num_functions}"


def _unlike_counts(
    what: str, mine: Counter[_Key], its: Counter[_Key]
) -> Iterator[tuple[str, str]]:
    more, fewer = dict(mine - its), dict(its - mine)
    if more or fewer:
        yield what, f"beyond a never-wrapped ranker: {more}; lacking: {fewer}"


def _twin(
    model: tf.keras.Model,
    encoding: FeatureEncoding | None,
    options: ExportOptions,
    scratch: str,
) -> SavedGraph:
    folder = Path(scratch) / "twin"
    write(_clone(ranker_of(model)), folder, encoding, options)
    return SavedGraph(folder)


def _clone(ranker: tf.keras.Model) -> tf.keras.Model:
    """A ranker of the same layers that was never wrapped."""
    if is_functional(ranker):
        return tf.keras.models.clone_model(ranker)
    try:
        return type(ranker).from_config(ranker.get_config())
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            f"`model` must hold a functional ranker as `ranker`, or "
            f"{type(ranker).__name__} must have get_config: without it there is no "
            "never-wrapped twin to verify the export against"
        ) from error


def _training_only_weights(model: tf.keras.Model) -> Iterator[tuple[str, np.ndarray]]:
    own = {id(v) for v in ranker_of(model).variables}
    optimizer = getattr(model, "optimizer", None)
    variables = getattr(optimizer, "variables", [])
    if callable(variables):  # Keras 2's legacy optimizers
        variables = variables()
    for variable in [*model.variables, *variables]:
        if id(variable) not in own:
            name = getattr(variable, "path", variable.name)
            yield name, np.asarray(variable)


def _training_only_names(model: tf.keras.Model) -> tuple[str, ...]:
    ranker = ranker_of(model)
    own = [ranker, *_sublayers(ranker)]
    own_ids, own_names = {id(layer) for layer in own}, {layer.name for layer in own}
    return tuple(
        layer.name
        for layer in _sublayers(model)
        if id(layer) not in own_ids
        and layer.name not in own_names
        and len(layer.name) >= SHORTEST_NAME
    )


def _sublayers(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    return list(model._flatten_layers(include_self=False))


def _digests(value: np.ndarray) -> set[bytes]:
    """Digests of a weight as it is, transposed, and in parts.

    A constant tensor, such as a count that never moved, says nothing.
    """
    if value.dtype.kind not in "fiuV" or value.size < 2:
        return set()
    value = np.asarray(value, np.float32)
    if np.ptp(value) == 0:
        return set()
    forms = [value, value.T]
    if value.ndim > 2:
        forms += list(value)
    return {
        hashlib.sha256(np.ascontiguousarray(f).tobytes()).digest()
        for f in forms
        if np.ptp(f) > 0
    }
