"""LazyAdam: Adam that updates the touched rows of embedding tables only."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.compat import KERAS_3, plain_variable
from hgr_tf.gradients import Gradient
from hgr_tf.optimizers.row_gradients import RowGradients


@tf.keras.utils.register_keras_serializable("hgr_tf")
class LazyAdam(RowGradients, tf.keras.optimizers.Adam):
    """Adam whose moments of a table's row change only in steps that touch the row.

    For a row r that the batch of step t looks up, with g its summed gradient:

        m_r <- beta_1 m_r + (1 - beta_1) g
        v_r <- beta_2 v_r + (1 - beta_2) g^2
        r   <- r - rate * sqrt(1 - beta_2^t) / (1 - beta_1^t) * m_r / (sqrt(v_r) + eps)

    and nothing happens to all other rows. Dense gradients are treated exactly as
    Adam treats them. So **this is not Adam**: there, moments of every row decay in
    every step, and rows go on moving after they were last seen. The cost of a step
    follows the batch instead of the table.

    Gradients are rows where the table is looked up by `tf.gather`, as
    `hgr_tf.layers.RowEmbedding` does on both generations of Keras, and Keras 2's
    own Embedding does too.

    Args:
        learning_rate: Positive number or a Keras schedule.
        beta_1: Decay of the first moment, in [0, 1).
        beta_2: Decay of the second moment, in [0, 1).
        epsilon: Added to the root of the second moment.
        name: Name of the optimizer.
        **kwargs: As of `tf.keras.optimizers.Adam`, without `amsgrad`, `use_ema`
            and `weight_decay`, which change all rows in every step.

    Raises:
        ValueError: One of these three is asked for.

    Example:
        >>> model.compile(hgr_tf.optimizers.LazyAdam(1e-3))  # doctest: +SKIP

    Source: the algorithm of TensorFlow Addons' LazyAdam; Adam is Kingma and Ba,
    arXiv:1412.6980.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str = "lazy_adam",
        **kwargs: Any,
    ):
        refuse_dense_options(type(self).__name__, kwargs)
        super().__init__(
            learning_rate=learning_rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            name=name,
            **without_dense_options(kwargs),
        )

    def update_step(
        self,
        gradient: Gradient,
        variable: tf.Variable,
        learning_rate: tf.Tensor | None = None,
    ) -> tf.Variable | None:
        """Updates one variable; `learning_rate` is given by Keras 3 only."""
        if not isinstance(gradient, tf.IndexedSlices):
            rate = (learning_rate,) if KERAS_3 else ()
            return super().update_step(gradient, variable, *rate)
        gradient = self._rows_of(gradient)
        dtype = variable.dtype
        rate = tf.cast(self.learning_rate if not KERAS_3 else learning_rate, dtype)
        step = tf.cast(self.iterations + 1, dtype)
        correction = tf.sqrt(1 - tf.pow(tf.cast(self.beta_2, dtype), step))
        correction /= 1 - tf.pow(tf.cast(self.beta_1, dtype), step)
        m, v = self._moments(variable)
        rows, g = gradient.indices, tf.cast(gradient.values, dtype)
        m_rows = self.beta_1 * tf.gather(m, rows) + (1 - self.beta_1) * g
        v_rows = self.beta_2 * tf.gather(v, rows) + (1 - self.beta_2) * tf.square(g)
        m.scatter_update(tf.IndexedSlices(m_rows, rows))
        v.scatter_update(tf.IndexedSlices(v_rows, rows))
        change = rate * correction * m_rows / (tf.sqrt(v_rows) + self.epsilon)
        return plain_variable(variable).scatter_sub(tf.IndexedSlices(change, rows))

    def _moments(self, variable: tf.Variable) -> tuple[tf.Variable, tf.Variable]:
        index = (
            self._get_variable_index(variable)
            if KERAS_3
            else self._index_dict[self._var_key(variable)]
        )
        return (
            plain_variable(self._momentums[index]),
            plain_variable(self._velocities[index]),
        )

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return without_dense_options(super().get_config())


DENSE_OPTIONS = ("amsgrad", "use_ema", "weight_decay")


def refuse_dense_options(optimizer: str, options: dict[str, Any]) -> None:
    """Checks that no option would change every row of a table in every step.

    Raises:
        ValueError: One would; `hgr_tf.layers.RowEmbedding(l2=...)` decays rows.
    """
    for name in DENSE_OPTIONS:
        if options.get(name):
            raise ValueError(
                f"`{name}` changes every row of a table in every step, so {optimizer} "
                f"does not take it; got {options[name]!r}. To keep rows small, give "
                "their embedding an `l2`"
            )


def without_dense_options(config: dict[str, Any]) -> dict[str, Any]:
    """A Keras optimizer's arguments without the options that are refused.

    Even a decay by 0 passes over every row on Keras 2.
    """
    return {k: v for k, v in config.items() if k not in DENSE_OPTIONS}
