"""The first layers of every ranker here: inputs and their embeddings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import tensorflow as tf

from hgr_tf.feature_graphs.graph import GRAPHS
from hgr_tf.features import Feature, FeatureEncoding, FeatureSpec
from hgr_tf.features.embedding_options import EmbeddingOptions
from hgr_tf.features.history_list import HistoryList
from hgr_tf.features.history_options import HistoryOptions
from hgr_tf.features.spec import Owner
from hgr_tf.layers.embedding import Embedding
from hgr_tf.layers.row_embedding import RowEmbedding
from hgr_tf.rankers.history_events import HistoryEvents
from hgr_tf.rankers.seen_features import seen_features

if TYPE_CHECKING:
    from keras import KerasTensor

Options = Mapping[str, EmbeddingOptions]

USER_EMBEDDING = "user_embedding"
"""Name of the layer that embeds the user id."""


def table_name(feature: Feature, spec: FeatureSpec) -> str:
    """Name of the layer that embeds the ids of a feature."""
    is_user_id = feature == spec.id_feature("user")
    return USER_EMBEDDING if is_user_id else f"embedding_{feature.name}"


@dataclass
class EmbeddedFeatures:
    """Keras tensors of the features of one owner, or of all.

    Attributes:
        inputs: Input of each feature by name.
        vectors: [batch, embedding_dim] of each categorical feature.
        numbers: [batch, 1] of each numeric feature.
    """

    inputs: dict[str, KerasTensor] = field(default_factory=dict)
    vectors: list[KerasTensor] = field(default_factory=list)
    numbers: list[KerasTensor] = field(default_factory=list)

    def __add__(self, other: EmbeddedFeatures) -> EmbeddedFeatures:
        return EmbeddedFeatures(
            self.inputs | other.inputs,
            self.vectors + other.vectors,
            self.numbers + other.numbers,
        )

    def concatenated(self, name: str) -> KerasTensor:
        """Returns all of them side by side, [batch, width]."""
        parts = self.vectors + self.numbers
        if len(parts) == 1:
            return parts[0]
        return tf.keras.layers.Concatenate(name=name)(parts)


def embed_features(
    encoding: FeatureEncoding,
    embedding_dim: int,
    user_tower: Sequence[int] = (),
    features: Options | None = None,
    history: HistoryOptions | None = None,
    without: Collection[str] = (),
) -> EmbeddedFeatures:
    """Creates one input per feature and embeds the categorical ones.

    Features that only training knows are left out; see `hgr_tf.rankers.side_towers`.
    A multi-valued feature becomes the mean of its ids' embeddings, 0 left out, unless
    its options say otherwise. A list pooled by "attention" goes beside any tower.

    Args:
        encoding: Names, types and numbers of ids.
        embedding_dim: Width of each embedding.
        user_tower: Units of dense ReLU layers that turn all user features into
            one vector, the output of a last layer named "user_tower" of
            `embedding_dim` units. It depends on the user alone, so serving
            many items computes it once. What the user did is among these features;
            with "attention" as the mean of each list, and the events weighted by the
            row's item go beside the tower. Empty: no tower.
        features: Options of some features by name.
        history: How the spec's histories are pooled.
        without: Features, histories and counters that the ranker does not see.

    Raises:
        ValueError: `embedding_dim` is not positive, or an option is wrong.
    """
    if embedding_dim < 1:
        raise ValueError(f"`embedding_dim` must be at least 1, got {embedding_dim}")
    seen = seen_features(encoding.spec, without)
    history = HistoryOptions.model_validate(history or {})
    options = _checked(features or {}, seen, history)
    embedder = _Embedder(encoding, embedding_dim, options, seen)
    by_item = history.pooling == "attention"
    lists_alone = history.pooling == "mean" or (by_item and bool(user_tower))
    user = embedder.embed("user", lists_alone)
    if history.pooling == "transformer":
        encoded = [events.encoded(history) for events in embedder.histories()]
        user += EmbeddedFeatures(vectors=encoded)
    if user_tower:
        hidden = dense_layers(user.concatenated("user_features"), user_tower, "user")
        tower = tf.keras.layers.Dense(embedding_dim, name="user_tower")(hidden)
        user = EmbeddedFeatures(user.inputs, [tower])
    embedded = user + embedder.embed("item") + embedder.embed("context")
    embedded += embedder.attended_lists()
    if by_item:
        attended = [
            events.attended(embedder.vectors, history)
            for events in embedder.histories()
        ]
        embedded += EmbeddedFeatures(vectors=attended)
    return embedded


def dense_layers(
    x: KerasTensor, units: Sequence[int], name: str, dropout: float = 0.0
) -> KerasTensor:
    """Applies dense ReLU layers, each followed by dropout if there is any."""
    for index, width in enumerate(units, start=1):
        layer = tf.keras.layers.Dense(width, "relu", name=f"{name}_dense_{index}")
        x = layer(x)
        if dropout:
            layer = tf.keras.layers.Dropout(dropout, name=f"{name}_dropout_{index}")
            x = layer(x)
    return x


def logits_model(
    inputs: dict[str, KerasTensor], x: KerasTensor, name: str
) -> tf.keras.Model:
    """Closes a ranker: one float32 logit of `x`, [batch, 1]."""
    return tf.keras.Model(inputs, logit(x, "logits"), name=name)


def logit(x: KerasTensor, name: str) -> KerasTensor:
    """The last layer of a ranker: one float32 logit of `x`, [batch, 1]."""
    # float32 under mixed precision too: losses and metrics need the range.
    return tf.keras.layers.Dense(1, name=name, dtype="float32")(x)


class _Embedder:
    """Embeds features; those that share a table, from one layer.

    Attributes:
        vectors: Vector [batch, dim] of each feature with ids, before any dropout.
    """

    def __init__(
        self,
        encoding: FeatureEncoding,
        embedding_dim: int,
        options: Options,
        seen: Sequence[Feature],
    ) -> None:
        self.vectors: dict[str, KerasTensor] = {}
        self._encoding = encoding
        self._dim = embedding_dim
        self._options = options
        self._seen = seen
        self._inputs: dict[str, list[KerasTensor]] = {}
        self._tables: dict[str, tf.keras.layers.Layer] = {}

    def embed(self, owner: Owner, lists_alone: bool = True) -> EmbeddedFeatures:
        """Makes the inputs and vectors of an owner's features.

        Args:
            owner: Whose features.
            lists_alone: Whether each list of a history is pooled to a vector.
        """
        embedded = EmbeddedFeatures()
        for feature in self._seen:
            if feature.owner != owner:
                continue
            inputs = {
                name: tf.keras.Input(form.shape, name=name, dtype=form.dtype)
                for name, form in feature.inputs.items()
            }
            embedded.inputs.update(inputs)
            self._inputs[feature.name] = list(inputs.values())
            if self._is_attended(feature):
                continue
            if not feature.transform.is_categorical:
                embedded.numbers.append(self._vector(feature))
            elif lists_alone or not isinstance(feature.transform, HistoryList):
                embedded.vectors.append(self._dropped(feature, self._vector(feature)))
        return embedded

    def attended_lists(self) -> EmbeddedFeatures:
        """Makes the vectors of lists that are pooled by what other vectors say."""
        attended = filter(self._is_attended, self._seen)
        return EmbeddedFeatures(
            vectors=[self._dropped(f, self._vector(f)) for f in attended]
        )

    def histories(self) -> Iterator[HistoryEvents]:
        """Yields the events of each history, once the user's inputs are made."""
        spec = self._encoding.spec
        for name, history in spec.history.items():
            lists = {}
            for of in history.listed:
                feature = spec.feature(f"{name}_{of}")
                inputs = self._inputs.get(feature.name)
                if inputs and isinstance(feature.transform, HistoryList):
                    (ids,) = inputs
                    lists[of] = (feature.transform, ids, self._table(feature)(ids))
            if lists:
                yield HistoryEvents(name, history, lists)

    def _vector(self, feature: Feature) -> KerasTensor:
        kind, options = feature.transform, self._options_of(feature.name)
        has_ids = kind.is_categorical
        vector = GRAPHS[kind.type].embed(
            feature.name,
            kind,
            self._inputs[feature.name],
            self._table(feature) if has_ids else None,
            options.pooling,
            self.vectors.get(self._encoding.spec.id_source(feature.name)),
        )
        if has_ids:
            self.vectors[feature.name] = vector
        return vector

    def _dropped(self, feature: Feature, vector: KerasTensor) -> KerasTensor:
        rate = self._options_of(feature.name).dropout
        if not rate:
            return vector
        return tf.keras.layers.Dropout(
            rate, noise_shape=(None, 1), name=f"dropout_{feature.name}"
        )(vector)

    def _table(self, feature: Feature) -> tf.keras.layers.Layer:
        spec = self._encoding.spec
        source = spec.id_source(feature.name)
        if source not in self._tables:
            self._tables[source] = self._new_table(spec.feature(source))
        return self._tables[source]

    def _new_table(self, feature: Feature) -> tf.keras.layers.Layer:
        name = table_name(feature, self._encoding.spec)
        options = self._options_of(feature.name)
        ids, dim = self._encoding.num_ids(feature.name), options.dim or self._dim
        if options.l2:
            return RowEmbedding(ids, dim, options.l2, name=name)
        return Embedding(ids, dim, name=name)

    def _is_attended(self, feature: Feature) -> bool:
        return self._options_of(feature.name).pooling == "attention"

    def _options_of(self, name: str) -> EmbeddingOptions:
        return self._options.get(name, EmbeddingOptions())


def _checked(
    features: Options, seen: Sequence[Feature], history: HistoryOptions
) -> Options:
    known = {feature.name: feature.transform for feature in seen}
    checked = {}
    for name, given in features.items():
        if name not in known:
            raise ValueError(
                "`features` must name features that the ranker sees, "
                f"{sorted(known)}; got {name!r}"
            )
        if not known[name].is_categorical:
            raise ValueError(f"`features`: {name!r} has no ids to embed")
        if isinstance(known[name], HistoryList) and history.pooling != "mean":
            raise ValueError(
                f"`features` must not name {name!r}, a list of a history, unless "
                f"`history.pooling` is 'mean', got {history.pooling!r}"
            )
        checked[name] = EmbeddingOptions.model_validate(given)
        shares = known[name].id_source in known and known[name].forms[0].size
        if checked[name].pooling == "attention" and not shares:
            raise ValueError(
                f"`features`: `pooling` of {name!r} must not be 'attention', which is "
                "for lists that share their ids with another feature of the row"
            )
    return checked
