"""Events of a history, with all their listed features, pooled to one vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from hgr_tf.features.histories import History
from hgr_tf.features.history_list import HistoryList
from hgr_tf.features.history_options import HistoryOptions
from hgr_tf.layers.history_encoder import HistoryEncoder
from hgr_tf.layers.masked_mean import MaskedMean
from hgr_tf.layers.target_attention import TargetAttention


class HistoryEvents:
    """The events of one history as Keras tensors.

    Args:
        name: Name of the history.
        history: Its section of the spec.
        lists: The kind, ids [batch, length * width] and embeddings
            [batch, length * width, dim] of each listed feature that the ranker
            sees, by its name.

    Raises:
        ValueError: The ranker does not see what the history is `of`, or that holds
            lists, so that a 0 does not say where an event is missing.
    """

    def __init__(
        self,
        name: str,
        history: History,
        lists: Mapping[str, tuple[HistoryList, Any, Any]],
    ) -> None:
        if history.of not in lists:
            raise ValueError(
                f"`without` must not hold {name}_{history.of!s} alone of the history "
                f"{name!r} unless `ranker.history.pooling` is 'mean': it says where an "
                f"event is missing; leave out {name!r}"
            )
        kind, self._ids, _ = lists[history.of]
        if kind.width > 1:
            raise ValueError(
                f"`ranker.history.pooling` must be 'mean' where an event lists several "
                f"values: history {name!r} is of {history.of!r}, of type "
                f"{kind.of.type!r}"
            )
        self._name = name
        self._history = history
        self._listed = [of for of in history.listed if of in lists]
        events = [_of_events(f"{name}_{of}", *lists[of]) for of in self._listed]
        self._events = _side_by_side(f"events_{name}", events)

    def attended(self, vectors: Mapping[str, Any], options: HistoryOptions) -> Any:
        """Events weighted by their relevance to the row's item, [batch, width].

        Args:
            vectors: [batch, dim] of each feature of the row, by name.
            options: Units of the scoring network.

        Raises:
            ValueError: The ranker does not see what the row's events are compared
                with.
        """
        unseen = [name for name in self._listed if name not in vectors]
        if unseen:
            raise ValueError(
                f"`without` must not hold {unseen[0]!r} while events of the history "
                f"{self._name!r} are compared with it; leave out "
                f"'{self._name}_{unseen[0]}' too"
            )
        listed = [vectors[name] for name in self._listed]
        target = _side_by_side(f"target_{self._name}", listed)
        attention = TargetAttention(
            options.hidden_units, name=f"attention_{self._name}"
        )
        return attention(target, self._events, self._ids)

    def encoded(self, options: HistoryOptions) -> Any:
        """Mean of the events after they have seen each other, [batch, width].

        Raises:
            ValueError: Their width is no multiple of the heads.
        """
        encoder = HistoryEncoder(
            options.num_layers,
            options.num_heads,
            self._history.length,
            newest_first=self._history.newest_first,
            dropout=options.dropout,
            name=f"encoder_{self._name}",
        )
        seen = encoder(self._events, self._ids)
        return MaskedMean(name=f"mean_of_encoded_{self._name}")([seen, self._ids])


def _of_events(name: str, kind: HistoryList, ids: Any, embeddings: Any) -> Any:
    """Embeddings [batch, length, dim]: the mean of an event's values."""
    if kind.width == 1:
        return embeddings
    layers, shape = tf.keras.layers, (kind.length, kind.width)
    embeddings = layers.Reshape((*shape, embeddings.shape[-1]), name=f"of_{name}")(
        embeddings
    )
    ids = layers.Reshape(shape, name=f"ids_{name}")(ids)
    return MaskedMean(name=f"mean_of_events_{name}")([embeddings, ids])


def _side_by_side(name: str, tensors: list[Any]) -> Any:
    if len(tensors) == 1:
        return tensors[0]
    return tf.keras.layers.Concatenate(name=name)(tensors)
