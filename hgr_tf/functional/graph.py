"""Runs a part of a functional Keras model, between any of its tensors.

`tf.keras.Model(inside_tensor, output)` would do, but it adds nodes to the
model's own layers, after which Keras 3 cannot serialize the model any more.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import tensorflow as tf

from hgr_tf.compat import KERAS_3

if TYPE_CHECKING:
    from keras import KerasTensor

    Instead: TypeAlias = Mapping[
        int, tuple[Sequence[KerasTensor], Callable[[list[tf.Tensor]], tf.Tensor]]
    ]

Inputs: TypeAlias = tf.Tensor | Sequence[tf.Tensor] | Mapping[str, tf.Tensor]
"""What a model is called with."""


def is_functional(model: tf.keras.Model) -> bool:
    """Whether a model's graph of layers is known, so that it can be cut."""
    return bool(getattr(model, "inputs", None))


def input_tensors(model: tf.keras.Model) -> dict[str, KerasTensor]:
    """The symbolic inputs of a functional model, by name."""
    if isinstance(model.input, Mapping):
        return dict(model.input)
    return dict(zip(model.input_names, model.inputs, strict=True))


def output_of(model: tf.keras.Model) -> KerasTensor | dict[str, KerasTensor]:
    """A functional model's output: a symbolic tensor, or a dict of several by name."""
    output = _functional(model).output
    return dict(output) if isinstance(output, dict) else model.outputs[0]


def run_output(
    output: KerasTensor | dict[str, KerasTensor],
    known: Mapping[int, tf.Tensor],
    training: bool = False,
    instead: Instead | None = None,
) -> tf.Tensor | dict[str, tf.Tensor]:
    """`run_graph` of what `output_of` returned; gives a value, or a dict of them."""
    values = run_graph(tf.nest.flatten(output), known, training, instead)
    return tf.nest.pack_sequence_as(output, values)


def run_graph(
    outputs: Iterable[KerasTensor],
    known: Mapping[int, tf.Tensor],
    training: bool = False,
    instead: Instead | None = None,
) -> list[tf.Tensor]:
    """Computes symbolic tensors of a functional model from known ones.

    Runs each layer on the way once, and only those.

    Args:
        outputs: A list of symbolic tensors of the model.
        known: {id of a symbolic tensor: its value}, such as
            `input_values(model, inputs)`; a value stops the walk there.
        training: Given to the layers that take it.
        instead: {id of a symbolic tensor: (symbolic tensors, a function of their
            values)}: what computes it in the place of its layer.

    Returns:
        A list of values.
    """
    values = dict(known)
    return [_value(tensor, values, training, instead or {}) for tensor in outputs]


def input_values(model: tf.keras.Model, inputs: Inputs) -> dict[int, tf.Tensor]:
    """{id of a symbolic input: its value}, cast and shaped as the model does.

    Args:
        model: A functional Keras model.
        inputs: What the model is called with; further entries of a dict are
            left out.

    Raises:
        ValueError: An entry of a dict is missing.
    """
    inputs = own_inputs(model, inputs)
    if KERAS_3:
        flat = _functional(model)._standardize_inputs(inputs)
    else:
        flat = [
            model._conform_to_reference_input(_as_tensor(value), symbolic)
            for value, symbolic in zip(
                model._flatten_to_reference_inputs(inputs), model.inputs, strict=True
            )
        ]
    return {id(s): value for s, value in zip(model.inputs, flat, strict=True)}


def _as_tensor(value: object) -> tf.Tensor | tf.RaggedTensor | tf.SparseTensor:
    is_composite = isinstance(value, tf.RaggedTensor | tf.SparseTensor)
    return value if is_composite else tf.convert_to_tensor(value)


def own_inputs(model: tf.keras.Model, inputs: Inputs) -> Inputs:
    """Returns the entries of a dict of inputs that a functional model asks for.

    They come in the structure that the model was made with. Anything else, or
    the inputs of another kind of model, stays as it is.

    Raises:
        ValueError: An entry is missing.
    """
    if not (is_functional(model) and isinstance(inputs, dict)):
        return inputs
    model = _functional(model)
    names = _input_names(model)
    missing = sorted(set(names) - set(inputs))
    if missing:
        raise ValueError(
            f"inputs must have {sorted(names)}, got {sorted(inputs)}: missing {missing}"
        )
    if isinstance(model.input, dict):
        return {name: inputs[name] for name in names}
    values = [inputs[name] for name in names]
    return values if isinstance(model.input, list | tuple) else values[0]


def _functional(model: tf.keras.Model) -> tf.keras.Model:
    """The functional model that a Sequential one of Keras 3 holds; others as are."""
    return getattr(model, "_functional", None) or model


def _input_names(model: tf.keras.Model) -> list[str]:
    if isinstance(model.input, dict):
        return list(model.input)
    return [tensor.name for tensor in model.inputs] if KERAS_3 else model.input_names


def tensors_of(*outputs: KerasTensor) -> list[KerasTensor]:
    """The symbolic tensors that some are computed from, and these, parents first."""
    found: dict[int, KerasTensor] = {}

    def visit(tensor: KerasTensor) -> None:
        if id(tensor) not in found:
            for parent in parents(tensor):
                visit(parent)
            found[id(tensor)] = tensor

    for output in outputs:
        visit(output)
    return list(found.values())


def parents(tensor: KerasTensor) -> list[KerasTensor]:
    """The symbolic tensors that a symbolic tensor is computed from."""
    node = _node(tensor)
    return list(node.input_tensors if KERAS_3 else node.keras_inputs)


def arguments_of(tensor: KerasTensor) -> dict[str, Any]:
    """What the layer that computes a symbolic tensor was called with, by name."""
    node = _node(tensor)
    if KERAS_3:
        args, kwargs = node.arguments.args, node.arguments.kwargs
    else:
        args, kwargs = node.call_args, node.call_kwargs
    call = inspect.signature(layer_of(tensor).call)
    return call.bind(*args, **kwargs).arguments


def layer_of(tensor: KerasTensor) -> tf.keras.layers.Layer:
    """The layer that computes a symbolic tensor."""
    return tensor._keras_history[0]


def call_of(tensor: KerasTensor) -> int:
    """Number of the call of its layer that computes a symbolic tensor."""
    return tensor._keras_history[1]


def has_activity_regularizer(layer: tf.keras.layers.Layer) -> bool:
    """Whether a layer, or one inside it, has an activity regularizer."""
    return _any_part_has(layer, "activity_regularizer")


def needs_its_own_call(layer: tf.keras.layers.Layer) -> bool:
    """Whether a layer, or one inside it, does more than its formula says.

    Outputs that are regularized or quantized need the call of the layer.
    """
    return has_activity_regularizer(layer) or _any_part_has(layer, "quantization_mode")


def _any_part_has(layer: tf.keras.layers.Layer, attribute: str) -> bool:
    is_layer = isinstance(layer, tf.keras.layers.Layer)  # Keras 3 has bare ops too
    parts = layer._flatten_layers() if is_layer else []
    return any(getattr(part, attribute, None) for part in parts)


def _node(tensor: KerasTensor) -> Any:
    """Keras's node of the call that computes a symbolic tensor."""
    operation, node_index, _ = tensor._keras_history
    return operation._inbound_nodes[node_index]


def _value(
    tensor: KerasTensor,
    values: dict[int, tf.Tensor],
    training: bool,
    instead: Instead,
) -> tf.Tensor:
    if id(tensor) in values:
        return values[id(tensor)]
    if id(tensor) in instead:
        inputs, function = instead[id(tensor)]
        given = [_value(parent, values, training, instead) for parent in inputs]
        values[id(tensor)] = function(given)
        return values[id(tensor)]
    inputs = parents(tensor)
    if not inputs:
        raise ValueError(f"the graph needs a value for {tensor}")
    for parent in inputs:
        _value(parent, values, training, instead)
    node = _node(tensor)
    if KERAS_3:
        layer = node.operation
        args, kwargs = node.arguments.fill_in(values)
        takes_training = getattr(layer, "_call_has_training_arg", False)
        symbolic = node.outputs
    else:
        layer = node.layer
        # Keras 2 takes a value off a list for each use.
        stacks = {str(id(t)): [values[id(t)]] * len(inputs) for t in inputs}
        args, kwargs = node.map_arguments(stacks)
        takes_training = layer._call_spec.expects_training_arg
        symbolic = tf.nest.flatten(node.outputs)
    # Keras 3 records the default of a layer's `training`, and overrides it too.
    if takes_training and (KERAS_3 or kwargs.get("training") is None):
        kwargs["training"] = training
    computed = tf.nest.flatten(layer(*args, **kwargs))
    values.update((id(s), v) for s, v in zip(symbolic, computed, strict=True))
    return values[id(tensor)]
