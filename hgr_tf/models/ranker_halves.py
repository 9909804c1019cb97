"""A ranker cut at its user embedding: inputs -> embedding -> output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import tensorflow as tf

from hgr_tf.functional.graph import (
    Inputs,
    call_of,
    has_activity_regularizer,
    input_values,
    is_functional,
    layer_of,
    output_of,
    run_graph,
    run_output,
    tensors_of,
)
from hgr_tf.functional.shared_part import SharedPart

if TYPE_CHECKING:
    from keras import KerasTensor

Output: TypeAlias = tf.Tensor | dict[str, tf.Tensor]
"""A ranker's output, or those of its heads by name."""


class Halves(Protocol):
    """A ranker in two: `RankerHalves`, or a ranker that offers them itself."""

    def embed_users(self, inputs: Inputs, training: bool = False) -> tf.Tensor:
        """User embeddings, [batch, dim], of a batch of inputs."""

    def rank(
        self, inputs: Inputs, user_embeddings: tf.Tensor, training: bool = False
    ) -> Output:
        """The ranker's output, given the user embeddings."""


class RankerHalves:
    """The two halves of a functional Keras ranker; they share its layers.

    Args:
        ranker: A functional Keras model.
        user_embedding: Name of the layer whose output, [batch, dim], is the
            user embedding; it may be a nested model.

    Attributes:
        embedding_dim: Size of the user embedding.

    Raises:
        ValueError: `ranker` is not functional, has no such layer or uses it
            several times, or its output is not [batch, dim]; or a layer with an
            activity regularizer is used several times.
    """

    def __init__(self, ranker: tf.keras.Model, user_embedding: str | None):
        if not is_functional(ranker):
            raise ValueError(
                "`ranker` must be a functional Keras model, or have the methods "
                "embed_users(inputs, training) and rank(inputs, user_embeddings, "
                f"training), got {ranker!r}"
            )
        self._output = output_of(ranker)
        tensors = tensors_of(*tf.nest.flatten(self._output))
        _check_activity_regularizers(tensors)
        self._embedding = _only_output(user_embedding, tensors)
        shape = tuple(self._embedding.shape)
        if len(shape) != 2:
            raise ValueError(
                "`user_embedding` must name a layer with output [batch, dim], "
                f"got {user_embedding!r} with {shape}; flatten it"
            )
        self.embedding_dim = shape[-1]
        self._ranker = ranker
        self._shared = SharedPart(
            self._output, inside=ranker.inputs, outside=[self._embedding]
        )

    def embed_users(self, inputs: Inputs, training: bool = False) -> tf.Tensor:
        """User embeddings, [batch, dim], of a batch of inputs."""
        known = input_values(self._ranker, inputs)
        return run_graph([self._embedding], known, training)[0]

    def rank(
        self, inputs: Inputs, user_embeddings: tf.Tensor, training: bool = False
    ) -> Output:
        """The ranker's output, given the user embeddings."""
        return self.rank_each(inputs, [user_embeddings], training)[0]

    def rank_each(
        self,
        inputs: Inputs,
        several_embeddings: Sequence[tf.Tensor],
        training: bool = False,
    ) -> list[Output]:
        """The ranker's outputs for several embeddings of the same users.

        What does not depend on the user embedding, such as the embeddings of
        the other features, is computed once.
        """
        known = input_values(self._ranker, inputs)
        several = [
            {**known, id(self._embedding): users} for users in several_embeddings
        ]
        if len(several) == 1:
            return [run_output(self._output, several[0], training)]
        shared = self._shared.run(known, training)
        return [self._shared.run_rest(shared, each, training) for each in several]


def _only_output(name: str | None, tensors: Sequence[KerasTensor]) -> KerasTensor:
    outputs = [tensor for tensor in tensors if layer_of(tensor).name == name]
    if not outputs:
        names = list(dict.fromkeys(layer_of(tensor).name for tensor in tensors))
        raise ValueError(
            "`user_embedding` must name a layer of the ranker, "
            f"got {name!r}; its layers are {names}"
        )
    if len(outputs) > 1:
        raise ValueError(
            f"`user_embedding` must name a layer that the ranker uses once, got "
            f"{name!r} with {len(outputs)} outputs; pass the user's through a layer "
            "of its own, such as Activation('linear')"
        )
    return outputs[0]


def _check_activity_regularizers(tensors: Iterable[KerasTensor]) -> None:
    # Called one by one, a layer keeps the activity loss of its last call alone.
    calls = {(layer_of(tensor), call_of(tensor)) for tensor in tensors}
    for layer, times in Counter(layer for layer, _ in calls).items():
        if times > 1 and has_activity_regularizer(layer):
            raise ValueError(
                "layers with an activity regularizer must be used once, got "
                f"{layer.name!r} used {times} times; give each use a layer of its own"
            )


def rank_each(
    halves: Halves,
    inputs: Inputs,
    several_embeddings: Sequence[tf.Tensor],
    training: bool = False,
) -> list[Output]:
    """`RankerHalves.rank_each`, or a call of each for a ranker of other halves."""
    if isinstance(halves, RankerHalves):
        return halves.rank_each(inputs, several_embeddings, training)
    return [halves.rank(inputs, users, training) for users in several_embeddings]


def offers_halves(ranker: tf.keras.Model) -> bool:
    """Whether a ranker has the methods `embed_users` and `rank` itself."""
    return hasattr(ranker, "embed_users") and hasattr(ranker, "rank")


def halves_of(ranker: tf.keras.Model, user_embedding: str | None) -> Halves:
    """A ranker's two halves: its own if it offers them, or cut at a layer.

    Args:
        ranker: As `HierarchicalGroupwiseRanker` takes them.
        user_embedding: For a functional ranker, the layer to cut at.

    Raises:
        ValueError: See `RankerHalves`.
    """
    if offers_halves(ranker):
        return ranker
    return RankerHalves(ranker, user_embedding)
