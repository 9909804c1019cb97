"""RowwiseAdagrad: Adagrad with one accumulator per row of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from hgr_tf.compat import KERAS_3, plain_variable
from hgr_tf.gradients import Gradient
from hgr_tf.optimizers.lazy_adam import refuse_dense_options, without_dense_options
from hgr_tf.optimizers.row_gradients import RowGradients


@tf.keras.utils.register_keras_serializable("hgr_tf")
class RowwiseAdagrad(RowGradients, tf.keras.optimizers.Optimizer):
    """Adagrad that keeps one number for each row of a table, not one per weight.

    For a row r of an embedding table that a batch looks up, with g its summed
    gradient:

        a_r <- a_r + mean(g^2)
        r   <- r - rate * g / (sqrt(a_r) + eps)

    Weights of any other shape have an accumulator each, as in Adagrad. A table of
    n rows of d weights needs n numbers of state; Adagrad needs n d, Adam 2 n d.
    **This is not Adagrad**: all weights of a row share a rate.

    A variable counts as a table when its gradient comes as rows and it is of two
    dimensions and called "embeddings", as those of Keras's Embedding and of
    `hgr_tf.layers.RowEmbedding` are.

    Args:
        learning_rate: Positive number or a Keras schedule.
        initial_accumulator_value: What accumulators start at, at least 0. Keras's
            Adagrad starts at 0.1: beside the squares of gradients of a mean over a
            batch that is so much that a table hardly learns.
        epsilon: Added to the root of an accumulator.
        name: Name of the optimizer.
        **kwargs: As of a Keras optimizer, without `use_ema` and `weight_decay`,
            which change all rows in every step.

    Raises:
        ValueError: One of these is asked for, or `initial_accumulator_value` is
            negative.

    Example:
        >>> model.compile(hgr_tf.optimizers.RowwiseAdagrad(0.05))  # doctest: +SKIP

    Source: Naumov et al., arXiv:1906.00091 (DLRM), whose tables are trained so.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        initial_accumulator_value: float = 0.0,
        epsilon: float = 1e-7,
        name: str = "rowwise_adagrad",
        **kwargs: Any,
    ):
        refuse_dense_options(type(self).__name__, kwargs)
        kwargs = without_dense_options(kwargs)
        if initial_accumulator_value < 0:
            raise ValueError(
                "`initial_accumulator_value` must be at least 0, "
                f"got {initial_accumulator_value}"
            )
        if KERAS_3:
            super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        else:
            # By default Keras 2 decays by 0.
            super().__init__(name=name, weight_decay=None, **kwargs)
            self._learning_rate = self._build_learning_rate(learning_rate)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, variables: Sequence[tf.Variable]) -> None:
        """Makes the accumulators: one per row of a table, one per other weight."""
        if KERAS_3 and self.built:
            return
        super().build(variables)
        if not KERAS_3:
            if getattr(self, "_built", False):
                return
            self._built = True
        self._accumulators = [self._accumulator(variable) for variable in variables]

    def _accumulator(self, variable: tf.Variable) -> tf.Variable:
        shape = variable.shape[:1] if is_table(variable) else variable.shape
        initial = self.initial_accumulator_value
        if KERAS_3:
            return self.add_variable(
                shape=tuple(shape),
                initializer=tf.keras.initializers.Constant(initial),
                dtype=variable.dtype,
                name="accumulator",
            )
        return self.add_variable_from_reference(
            variable,
            "accumulator",
            shape=tuple(shape),
            initial_value=tf.fill(shape, tf.cast(initial, variable.dtype)),
        )

    def update_step(
        self,
        gradient: Gradient,
        variable: tf.Variable,
        learning_rate: tf.Tensor | None = None,
    ) -> None:
        """Updates one variable; `learning_rate` is given by Keras 3 only."""
        index = (
            self._get_variable_index(variable)
            if KERAS_3
            else self._index_dict[self._var_key(variable)]
        )
        accumulator = plain_variable(self._accumulators[index])
        weights = plain_variable(variable)
        rate = self.learning_rate if learning_rate is None else learning_rate
        rate = tf.cast(rate, weights.dtype)
        if isinstance(gradient, tf.IndexedSlices):
            self._update_rows(self._rows_of(gradient), weights, accumulator, rate)
            return
        gradient = tf.cast(gradient, weights.dtype)
        squares = tf.square(gradient)
        if accumulator.shape.rank < weights.shape.rank:
            squares = tf.reduce_mean(squares, axis=1)
            root = tf.sqrt(accumulator.assign_add(squares))[:, None]
        else:
            root = tf.sqrt(accumulator.assign_add(squares))
        weights.assign_sub(rate * gradient / (root + self.epsilon))

    def _update_rows(
        self,
        gradient: tf.IndexedSlices,
        weights: tf.Variable,
        accumulator: tf.Variable,
        rate: tf.Tensor,
    ) -> None:
        rows, values = gradient.indices, tf.cast(gradient.values, weights.dtype)
        squares = tf.square(values)
        if accumulator.shape.rank < weights.shape.rank:
            squares = tf.reduce_mean(squares, axis=1)
        sums = tf.gather(accumulator, rows) + squares
        accumulator.scatter_update(tf.IndexedSlices(sums, rows))
        root = tf.sqrt(sums)
        if root.shape.rank < values.shape.rank:
            root = root[:, None]
        change = rate * values / (root + self.epsilon)
        weights.scatter_sub(tf.IndexedSlices(change, rows))

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        config = without_dense_options(super().get_config())
        if not KERAS_3:
            config["learning_rate"] = self._serialize_hyperparameter(
                self._learning_rate
            )
        return {
            **config,
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }


def is_table(variable: tf.Variable) -> bool:
    """Whether a variable is the table of an embedding layer."""
    name = getattr(variable, "path", variable.name).split(":")[0]
    return len(variable.shape) == 2 and name.rpartition("/")[2] == "embeddings"
