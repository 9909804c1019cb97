"""MultiSpanReader: an encoder with heads for tags, one span, and the answer's type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from hgr_tf.compat import KERAS_3, Mean
from hgr_tf.qa.example import TYPES
from hgr_tf.qa.loss import reader_loss
from hgr_tf.qa.targets import Tagging, num_tags

LOSS_WEIGHTS = {"tags_loss": 5.0, "span_loss": 1.0, "type_loss": 1.0}
"""A tag's loss is a mean over many tokens that are easily outside of an answer, so
that it is small beside the others."""

_MASKED = -1e9


@tf.keras.utils.register_keras_serializable("hgr_tf")
class MultiSpanReader(tf.keras.Model):
    """Reads answers of no span, one span or several out of windows of text.

    tags    logits of each token's tag, from which any number of spans follows
    start   logits of each token's being the first of one answer span, and
    end     of its being the last; token 0 stands for no answer, and tokens outside
            of the text are impossible
    answer_type  logits of `TYPES`, from the first token beside the maximum over the
            text

    The loss is the weighted sum of the terms of `reader_loss`. Built after the
    abstract of arXiv:2209.09316.

    Args:
        encoder: A Keras model or layer from a dict of "token_ids", "segment_ids" and
            "padding_mask" [batch, tokens] to [batch, tokens, width], or to a dict
            that holds it as "sequence_output". A functional model is given those of
            the inputs that it has.
        tagging: "bio", or "io", whose adjacent spans become one.
        dropout: Dropout of what the heads see.
        loss_weights: Weights of the terms "tags_loss", "span_loss" and "type_loss";
            those of `LOSS_WEIGHTS` where one is left out.

    Raises:
        ValueError: `tagging` or a key of `loss_weights` is unknown.

    Example:
        >>> reader = MultiSpanReader(build_encoder("all-MiniLM-L6-v2"))
        >>> reader.compile(optimizer=tf.keras.optimizers.Adam(2e-4))
        >>> reader.fit(dataset)  # of (model_inputs(...), window_targets(...))
    """

    def __init__(
        self,
        encoder: Any,
        tagging: Tagging = "bio",
        dropout: float = 0.1,
        loss_weights: Mapping[str, float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if tagging not in ("bio", "io"):
            raise ValueError(f"`tagging` must be 'bio' or 'io', got {tagging!r}")
        unknown = sorted(set(loss_weights or {}) - set(LOSS_WEIGHTS))
        if unknown:
            raise ValueError(
                f"`loss_weights` must be of {tuple(LOSS_WEIGHTS)}, got {unknown}"
            )
        self.encoder = encoder
        self.tagging = tagging
        self.dropout = dropout
        self.loss_weights = {**LOSS_WEIGHTS, **(loss_weights or {})}
        self._dropout = tf.keras.layers.Dropout(dropout)
        self._tags = tf.keras.layers.Dense(num_tags(tagging), name="tags")
        self._span = tf.keras.layers.Dense(2, name="span")
        self._type = tf.keras.layers.Dense(len(TYPES), name="answer_type")
        own = [] if KERAS_3 else ["loss"]  # Keras 3 has a tracker of the loss
        self._means = [Mean(name) for name in [*own, *LOSS_WEIGHTS]]

    def call(
        self, inputs: Mapping[str, tf.Tensor], training: bool | None = None
    ) -> dict[str, tf.Tensor]:
        """Returns logits by the name of the head.

        Args:
            inputs: "token_ids", "segment_ids", "padding_mask" and "context_mask"
                [batch, tokens] int32, as `model_inputs` makes them.
            training: Whether dropout is on.

        Returns:
            float32 "tags" [batch, tokens, 2 or 3], "start" and "end"
            [batch, tokens], "answer_type" [batch, 3].
        """
        states = self.encoder(self._encoder_inputs(inputs), training=training)
        if isinstance(states, Mapping):
            states = states["sequence_output"]
        states = self._dropout(tf.cast(states, tf.float32), training=training)
        in_text = tf.cast(inputs["context_mask"], tf.bool)
        lowest = tf.constant(_MASKED, states.dtype)
        start, end = tf.unstack(self._span(states), axis=-1)
        # The first token is that of no answer.
        possible = tf.concat([tf.ones_like(in_text[:, :1]), in_text[:, 1:]], axis=1)
        of_text = tf.where(in_text[..., None], states, tf.zeros_like(states) - 10.0)
        pooled = tf.concat([states[:, 0], tf.reduce_max(of_text, axis=1)], axis=-1)
        return {
            "tags": self._tags(states),
            "start": tf.where(possible, start, lowest),
            "end": tf.where(possible, end, lowest),
            "answer_type": self._type(pooled),
        }

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> tf.Tensor:
        """The weighted sum of the terms of `reader_loss`; `fit` calls it."""
        terms = reader_loss(y, y_pred)
        total = tf.add_n([self.loss_weights[name] * terms[name] for name in terms])
        if self.losses:
            total += tf.add_n(self.losses)
        count = tf.shape(y["answer_type"])[0]
        for mean in self._means:
            mean.update_state(terms.get(mean.name, total), count)
        return total

    def compute_metrics(self, *args: Any, **kwargs: Any) -> dict[str, tf.Tensor]:
        """The means of the loss and its terms, which `compute_loss` updates."""
        return self.get_metrics_result()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "encoder": tf.keras.layers.serialize(self.encoder),
            "tagging": self.tagging,
            "dropout": self.dropout,
            "loss_weights": self.loss_weights,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> MultiSpanReader:
        """Makes a reader of what `get_config` returned."""
        encoder = tf.keras.layers.deserialize(
            config["encoder"], custom_objects=custom_objects
        )
        return cls(**{**config, "encoder": encoder})

    def _encoder_inputs(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        taken = getattr(self.encoder, "input", None)
        names = (
            list(taken)
            if isinstance(taken, Mapping)
            else ["token_ids", "segment_ids", "padding_mask"]
        )
        return {name: inputs[name] for name in names}
