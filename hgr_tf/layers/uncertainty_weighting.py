"""UncertaintyWeighting: learned weights of several losses."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from hgr_tf.compat import add_state
from hgr_tf.distribute import num_replicas, sum_over_replicas

_REACH = 1.0
_LOWEST_LOSS = 1e-2


@tf.keras.utils.register_keras_serializable("hgr_tf")
class UncertaintyWeighting(tf.keras.layers.Layer):
    """Sum of losses weighted by learned homoscedastic uncertainty.

    total = sum_l ( L_l / (2 sigma_l^2) + log sigma_l )

    log sigma is trained. Each starts, at the first training call where its
    loss is above 0, at its optimum log sigma = log(L) / 2: there the weighted
    term of every level is 1/2 whatever its scale, and sigma's gradient is 0.
    From there it moves by 1 at the most: no weight grows more than e^2 times,
    however small a loss gets.

    Args:
        num_losses: Number of losses.
        learning_rate_scale: log sigma moves this many times as fast as the
            optimizer's learning rate says.

    Call arguments:
        losses: float32 [num_losses], at least 0.
        counts: bool [num_losses]. A loss that does not count, such as that of
            a level without a valid list, adds 0 and has no gradient.
        started: bool; sigma waits for it, such as for codes that mean something,
            and is 1 until then, without a gradient.
        training: Whether the start may be set.

    Returns:
        float32 scalar.

    Source: Kendall, Gal and Cipolla, "Multi-Task Learning Using Uncertainty to
    Weigh Losses", CVPR 2018; arXiv:2506.12756, equation 9.
    """

    def __init__(
        self, num_losses: int, learning_rate_scale: float = 10.0, **kwargs: Any
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        if num_losses < 1:
            raise ValueError(f"`num_losses` must be positive, got {num_losses}")
        if learning_rate_scale <= 0:
            raise ValueError(
                f"`learning_rate_scale` must be positive, got {learning_rate_scale}"
            )
        self.num_losses = num_losses
        self.learning_rate_scale = learning_rate_scale
        # log sigma = start + learning_rate_scale * moved.
        reach = _REACH / learning_rate_scale
        self._moved = self.add_weight(
            name="moved",
            shape=(num_losses,),
            initializer="zeros",
            trainable=True,
            constraint=lambda moved: tf.clip_by_value(moved, -reach, reach),
        )
        nan = tf.keras.initializers.Constant(np.nan)
        self._start = add_state(self, "start", (num_losses,), nan)
        self.built = True

    def call(
        self,
        losses: tf.Tensor,
        counts: tf.Tensor,
        started: tf.Tensor | bool = True,
        training: bool = False,
    ) -> tf.Tensor:
        """Weighted sum; see the class."""
        losses = tf.convert_to_tensor(losses, tf.float32)
        log_sigma = self._log_sigma_for(losses, started, training)
        weighted = 0.5 * losses * tf.exp(-2.0 * log_sigma) + log_sigma
        return tf.reduce_sum(tf.where(counts, weighted, 0.0))

    def weigh(
        self,
        losses: tf.Tensor,
        counts: tf.Tensor,
        started: tf.Tensor | bool = True,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The weighted sum in two parts, for a loss of which parts are weighed apart.

        Takes what `call` takes.

        Returns:
            float32 [num_losses], the weights 1 / (2 sigma_l^2), and the float32 scalar
            sum_l log sigma_l over the losses that count.
        """
        losses = tf.convert_to_tensor(losses, tf.float32)
        log_sigma = self._log_sigma_for(losses, started, training)
        penalty = tf.reduce_sum(tf.where(counts, log_sigma, 0.0))
        return 0.5 * tf.exp(-2.0 * log_sigma), penalty

    def _log_sigma_for(
        self, losses: tf.Tensor, started: tf.Tensor | bool, training: bool
    ) -> tf.Tensor:
        """float32 [num_losses], started by these losses if it has not been before."""
        mean = sum_over_replicas(tf.stop_gradient(losses)) / num_replicas()
        optimum = 0.5 * tf.math.log(tf.maximum(mean, _LOWEST_LOSS))
        start = tf.convert_to_tensor(self._start)
        starts = tf.math.is_nan(start) & (mean > 0) & started
        start = tf.where(starts, optimum, start)
        if training:
            self._start.assign(start)
        # A gradient as if the scale were 1: the steps of SGD are scaled once too.
        moved = tf.convert_to_tensor(self._moved)
        moved += (self.learning_rate_scale - 1.0) * tf.stop_gradient(moved)
        # Before the start there is nothing to move away from.
        return tf.where(tf.math.is_nan(start), 0.0, start + moved)

    @property
    def log_sigma(self) -> tf.Tensor:
        """float32 [num_losses]; NaN for a loss that has not started."""
        return self._start + self.learning_rate_scale * self._moved

    def get_config(self) -> dict[str, Any]:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "num_losses": self.num_losses,
            "learning_rate_scale": self.learning_rate_scale,
        }
