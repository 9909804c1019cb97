"""What a trained ranker makes of users and features: swap them, and rank again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from hgr_tf.features import USER, FeatureSpec
from hgr_tf.functional.graph import own_inputs
from hgr_tf.metrics import group_auc
from hgr_tf.models.heads import by_head
from hgr_tf.models.ranker_halves import halves_of

Inputs = dict[str, Any]


class Permutable(NamedTuple):
    """A feature that can be permuted.

    Attributes:
        inputs: Names of the tensors that the ranker sees of it.
        by_user: Whether each user gets another user's value (that of the other
            user's first row); otherwise each row gets another row's value.
    """

    inputs: tuple[str, ...]
    by_user: bool


class Importance(NamedTuple):
    """What is lost where a feature, or the user embedding, is another's.

    Attributes:
        gauc_drops: GAUC less the permuted GAUC, for each permutation.
        log_loss_rises: The permuted LogLoss less LogLoss, for each permutation.
    """

    gauc_drops: tuple[float, ...]
    log_loss_rises: tuple[float, ...]

    @property
    def gauc_drop(self) -> float:
        """Mean over the permutations."""
        return float(np.mean(self.gauc_drops))

    @property
    def log_loss_rise(self) -> float:
        """Mean over the permutations."""
        return float(np.mean(self.log_loss_rises))

    @property
    def gauc_spread(self) -> float:
        """Standard deviation over the permutations; NaN for a single one."""
        return _spread(self.gauc_drops)

    @property
    def log_loss_spread(self) -> float:
        """Standard deviation over the permutations; NaN for a single one."""
        return _spread(self.log_loss_rises)


class PermutationImportance(NamedTuple):
    """Figures of a ranker as it is, and what each permutation costs.

    Attributes:
        gauc: GAUC of the ranker as it is.
        log_loss: LogLoss of the ranker as it is.
        num_users: Users in the data.
        of: The importance of the user embedding and of each feature, by name.
    """

    gauc: float
    log_loss: float
    num_users: int
    of: dict[str, Importance]


def permutables(spec: FeatureSpec, names: Iterable[str]) -> dict[str, Permutable]:
    """The named features of a spec; features of users are permuted by user.

    Raises:
        ValueError: The spec has no such feature.
    """
    of_users = {feature.name for feature in spec.features("user")}
    known = {
        feature.name: Permutable(tuple(feature.inputs), feature.name in of_users)
        for feature in spec.served_features()
    }
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"features must be among {sorted(known)}, got {unknown}")
    return {name: known[name] for name in names}


def permutation_importance(
    ranker: Any,
    dataset: Iterable[Any],
    *,
    user_embedding: str | None = "user_embedding",
    features: Mapping[str, Permutable] | None = None,
    user_id: str = USER,
    from_logits: bool = True,
    permutations: int = 5,
    seed: int = 0,
    head: str = "",
) -> PermutationImportance:
    """Permutes the user embeddings among users, and features, and ranks again.

    GAUC ranks items within a user. Where it hardly falls with another user's
    embedding while the LogLoss rises, the embedding holds how often a user clicks, not
    what: groups of users made of it are of alike rates, not of alike tastes, and
    promise little GAUC. What another ranker would learn of the same users it does
    not tell. Nothing is trained or changed.

    Args:
        ranker: A trained ranker, as `HierarchicalGroupwiseRanker` takes them (its
            `.ranker` after training).
        dataset: Batches of (inputs, labels[, sample_weight]), each input
            [batch, ...], the same in every pass; read once for every permutation
            and once for everything that is permuted.
        user_embedding: Name of the layer whose output, [batch, dim], is the user
            embedding, which must depend on the user alone; None leaves it out.
        features: What else is permuted, by name; see `permutables`.
        user_id: Key of the inputs that holds the int user ids.
        from_logits: Whether the ranker gives logits or probabilities.
        permutations: How many times each is permuted.
        seed: Seed of the permutations. Those of users are random cycles, so that
            no user keeps their own value.
        head: Name of the output to look at, of a ranker with several; `dataset` then
            has its labels and weights alone, see `only_head`.

    Returns:
        A `PermutationImportance`; the user embedding goes by the layer's name.

    Raises:
        ValueError: The data have fewer than two users, the ranker no such layer, or
            `permutations` is below 1.

    Example:
        >>> found = permutation_importance(model.ranker, data.dataset("val", 8192))
        >>> found.of["user_embedding"].gauc_drop

    Source: Breiman, Random Forests, Machine Learning 45 (2001), section 10.
    """
    if permutations < 1:
        raise ValueError(f"`permutations` must be at least 1, got {permutations}")
    halves = None if user_embedding is None else halves_of(ranker, user_embedding)
    rows = _Rows.of(dataset, user_id)

    @tf.function(reduce_retracing=True)
    def rank(inputs: Inputs) -> tf.Tensor:
        return by_head(ranker(own_inputs(ranker, inputs), training=False))[head]

    def figures(outputs_of: Callable[[Inputs, slice], tf.Tensor]) -> np.ndarray:
        return rows.figures(_each_batch(dataset, outputs_of), from_logits)

    def importance(
        by_user: bool,
        values_of: Callable[[Inputs], list[Any]],
        outputs_of: Callable[[Inputs, list[np.ndarray]], tf.Tensor],
    ) -> Importance:
        kept = rows.first_rows if by_user else np.ones(len(rows.labels), bool)
        values = _kept_values(dataset, values_of, kept)
        lost = []
        for index in range(permutations):
            source = rows.source(by_user, np.random.default_rng([seed, index]))

            def others(inputs: Inputs, at: slice, source: Any = source) -> tf.Tensor:
                return outputs_of(inputs, [value[source[at]] for value in values])

            lost.append(own - figures(others))
        gauc_drops, log_loss_falls = np.transpose(lost).tolist()
        return Importance(tuple(gauc_drops), tuple(-fall for fall in log_loss_falls))

    own = figures(lambda inputs, at: rank(inputs))
    found = {}
    if user_embedding is not None and halves is not None:

        @tf.function(reduce_retracing=True)
        def embed(inputs: Inputs) -> tf.Tensor:
            return halves.embed_users(inputs, training=False)

        @tf.function(reduce_retracing=True)
        def rank_embedded(inputs: Inputs, embeddings: tf.Tensor) -> tf.Tensor:
            return by_head(halves.rank(inputs, embeddings, training=False))[head]

        found[user_embedding] = importance(
            True,
            lambda inputs: [embed(inputs)],
            lambda inputs, values: rank_embedded(inputs, tf.constant(values[0])),
        )
    for name, feature in (features or {}).items():
        found[name] = importance(
            feature.by_user,
            functools.partial(_values_of, feature.inputs),
            functools.partial(_rank_with, rank, feature.inputs),
        )
    gauc, log_loss = own.tolist()
    return PermutationImportance(gauc, log_loss, len(rows.users), found)


def _values_of(names: Sequence[str], inputs: Inputs) -> list[Any]:
    return [inputs[name] for name in names]


def _rank_with(
    rank: Callable[[Inputs], tf.Tensor],
    names: Sequence[str],
    inputs: Inputs,
    values: Sequence[np.ndarray],
) -> tf.Tensor:
    """What `rank` gives where inputs have other values."""
    others = dict(zip(names, map(tf.constant, values), strict=True))
    return rank({**inputs, **others})


class _Rows(NamedTuple):
    """Labels, weights and users of all rows, in the order of the dataset."""

    labels: np.ndarray
    weights: np.ndarray
    ids: np.ndarray
    users: np.ndarray
    position: np.ndarray
    first_rows: np.ndarray

    @classmethod
    def of(cls, dataset: Iterable[Any], user_id: str) -> _Rows:
        columns = []
        for batch in dataset:
            inputs, labels, weights = tf.keras.utils.unpack_x_y_sample_weight(batch)
            labels = _flat(labels)
            weights = np.ones(len(labels)) if weights is None else _flat(weights)
            columns.append((labels, weights, _flat(inputs[user_id])))
        nothing = [(np.zeros(0), np.zeros(0), np.zeros(0, np.int64))]
        labels, weights, ids = map(
            np.concatenate, zip(*(columns or nothing), strict=True)
        )
        users, first, position = np.unique(ids, return_index=True, return_inverse=True)
        if len(users) < 2:
            raise ValueError(f"`dataset` must have at least 2 users, got {len(users)}")
        first_rows = np.zeros(len(ids), bool)
        first_rows[first] = True
        return cls(labels, weights, ids, users, position, first_rows)

    def source(self, by_user: bool, rng: np.random.Generator) -> np.ndarray:
        """[rows] of which kept value each row gets."""
        if not by_user:
            return rng.permutation(len(self.labels))
        kept_users = self.position[self.first_rows]
        place = np.empty(len(self.users), int)
        place[kept_users] = np.arange(len(self.users))
        return place[random_cycle(len(self.users), rng)][self.position]

    def figures(self, outputs: np.ndarray, from_logits: bool) -> np.ndarray:
        """GAUC and LogLoss."""
        p = np.exp(-np.logaddexp(0, -outputs)) if from_logits else outputs
        p = np.clip(p, 1e-15, 1 - 1e-15)
        losses = -self.labels * np.log(p) - (1 - self.labels) * np.log1p(-p)
        gauc = group_auc(self.labels, outputs, self.ids, self.weights)
        return np.array([gauc, np.average(losses, weights=self.weights)])


def random_cycle(size: int, rng: np.random.Generator) -> np.ndarray:
    """A permutation of one cycle: index -> the index whose value it gets."""
    order = rng.permutation(size)
    successors = np.empty(size, int)
    successors[order] = np.roll(order, 1)
    return successors


def _each_batch(
    dataset: Iterable[Any], outputs_of: Callable[[Inputs, slice], tf.Tensor]
) -> np.ndarray:
    """float64 [rows] of a function of the inputs and of where their rows are."""
    outputs, start = [], 0
    for inputs, labels, *_ in dataset:
        size = len(_flat(labels))
        output = outputs_of(inputs, slice(start, start + size))
        outputs.append(_flat(output).astype(np.float64))
        start += size
    return np.concatenate(outputs)


def _kept_values(
    dataset: Iterable[Any],
    values_of: Callable[[Inputs], Sequence[Any]],
    kept: np.ndarray,
) -> list[np.ndarray]:
    """What a function of the inputs gives for the rows to keep."""
    values, start = [], 0
    for inputs, labels, *_ in dataset:
        size = len(_flat(labels))
        chosen = kept[start : start + size]
        values.append([np.asarray(value)[chosen] for value in values_of(inputs)])
        start += size
    return [np.concatenate(each) for each in zip(*values, strict=True)]


def _flat(tensor: Any) -> np.ndarray:
    return np.asarray(tensor).reshape(-1)


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
