"""The few places where Keras 2 and Keras 3 differ."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.autograph.core import config as autograph
from tensorflow.python.eager import record
from tensorflow.python.ops import control_flow_util

KERAS_3 = getattr(tf.keras, "__version__", "2").startswith("3")
"""Whether tf.keras is Keras 3 (otherwise Keras 2 or tf-keras)."""

# The package branches on tensors by `tf.cond` alone. AutoGraph would parse and compile
# each of its functions anew in every process, half of the time until the first step.
# What others write, such as a ranker's `call`, is converted as ever.
autograph.CONVERSION_RULES = (
    autograph.DoNotConvert("hgr_tf"),
    *autograph.CONVERSION_RULES,
)


def add_state(
    layer: tf.keras.layers.Layer,
    name: str,
    shape: Sequence[int],
    initializer: str | Callable[..., tf.Tensor] = "zeros",
    dtype: str = "float32",
) -> tf.Variable:
    """Adds a variable that a layer updates itself, alike on every replica.

    Each replica holds and assigns its own copy (synchronization ON_READ), so
    that it may be assigned inside `tf.cond`; the layer computes the new value
    from sums over the replicas, which keeps the copies equal. The first copy
    is the one that is saved.
    """
    if not KERAS_3:
        return layer.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
    # Keras 3's add_weight takes no synchronization; layers track a Variable
    # that is set as an attribute just as well.
    return tf.keras.Variable(
        tf.keras.initializers.get(initializer),
        shape=shape,
        dtype=dtype,
        trainable=False,
        name=name,
        synchronization="on_read",
        aggregation="only_first_replica",
    )


def gradients_of(
    optimizer: tf.keras.optimizers.Optimizer,
    loss: tf.Tensor,
    tape: tf.GradientTape,
    variables: Sequence[tf.Variable],
) -> list[Any]:
    """Gradients of `loss` for the optimizer's `apply_gradients`.

    An optimizer that scales losses gets gradients of the scaled loss on Keras 3,
    where it takes the scale out itself, and of the loss on Keras 2.
    """
    scales = not KERAS_3 and hasattr(optimizer, "get_scaled_loss")
    with tape:
        if KERAS_3:
            loss = optimizer.scale_loss(loss)
        elif scales:
            loss = optimizer.get_scaled_loss(loss)
    gradients = tape.gradient(loss, variables)
    return optimizer.get_unscaled_gradients(gradients) if scales else gradients


def takes_summed_gradients(optimizer: tf.keras.optimizers.Optimizer) -> bool:
    """Returns whether gradients may be summed over replicas before `apply_gradients`.

    Only where that is Keras 2's own, which is told so by an argument.
    """
    if KERAS_3 or unscaled(optimizer) is not optimizer:
        return False
    own, keras = type(optimizer), tf.keras.optimizers.Optimizer
    return all(
        getattr(own, name, None) is getattr(keras, name)
        for name in ("apply_gradients", "aggregate_gradients")
    )


def optimizer_state(optimizer: tf.keras.optimizers.Optimizer) -> list[tf.Variable]:
    """The variables that an optimizer goes on from, a loss scale's included."""
    if KERAS_3 or not hasattr(optimizer, "_loss_scale"):
        return list(optimizer.variables)
    scale = optimizer._loss_scale
    return [*optimizer.variables, scale.current_loss_scale, scale.counter]


def unscaled(
    optimizer: tf.keras.optimizers.Optimizer,
) -> tf.keras.optimizers.Optimizer:
    """The optimizer that Keras wrapped to scale its losses, or the optimizer itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def take_inputs_of(model: tf.keras.Model, other: tf.keras.Model) -> None:
    """Tells Keras 2 that a model takes what another does; else it saves no inputs."""
    if not KERAS_3:
        specs = tf.nest.map_structure(lambda tensor: tensor.type_spec, other.input)
        model._set_save_spec(specs)


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Layers made meanwhile compute by a Keras policy, such as "mixed_float16"."""
    module = tf.keras.config if KERAS_3 else tf.keras.mixed_precision
    policy = module.dtype_policy if KERAS_3 else module.global_policy
    set_policy = module.set_dtype_policy if KERAS_3 else module.set_global_policy
    before = policy()
    set_policy(name)
    try:
        yield
    finally:
        set_policy(before)


def update_compiled_metrics(
    model: tf.keras.Model,
    labels: tf.Tensor,
    predictions: tf.Tensor,
    sample_weight: tf.Tensor | None,
) -> None:
    """Updates the metrics given to a model's `compile`, without asking results."""
    if KERAS_3:
        compiled = model._compile_metrics
        if compiled is None:
            return
    else:
        compiled = model.compiled_metrics
    compiled.update_state(labels, predictions, sample_weight)


class Mean(tf.keras.metrics.Mean):
    """A weighted mean, NaN without weight, that can be loaded under a strategy.

    Keras's own is 0 without weight, and Keras 2's cannot be loaded so.
    """

    def result(self) -> tf.Tensor:
        """The mean; NaN, undefined, while all weights were 0."""
        return mean_of(*self.sums())

    def sums(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The sum of weighted values and that of weights; on a replica, its own."""
        return tf.convert_to_tensor(self.total), tf.convert_to_tensor(self.count)

    if not KERAS_3:

        def load_own_variables(self, store: Mapping[str, Any]) -> None:
            """Loads values: strategies cannot share out the datasets of a file."""
            super().load_own_variables({key: store[key][()] for key in store})


def mean_of(total: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """The mean that sums make; NaN where the count is 0."""
    mean = tf.math.divide_no_nan(total, count)
    return tf.where(count > 0, mean, tf.constant(float("nan"), mean.dtype))


def progress_bar() -> tf.keras.callbacks.Callback:
    """Keras's progress bar; it shows the figures of the callbacks before it."""
    if KERAS_3:
        return tf.keras.callbacks.ProgbarLogger()
    return tf.keras.callbacks.ProgbarLogger(count_mode="steps")


def under_xla() -> bool:
    """Whether the function being traced will be compiled by XLA."""
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)


def under_tape() -> bool:
    """Whether a gradient may be made of what is computed now."""
    return bool(record.could_possibly_record())


def plain_variable(variable: tf.Variable) -> tf.Variable:
    """The tf.Variable that a Keras 3 variable holds, or the variable itself."""
    value = getattr(variable, "value", None)
    return value if KERAS_3 and not callable(value) else variable
