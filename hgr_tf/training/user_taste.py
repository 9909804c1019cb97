"""A check of whether a ranker has learned users' tastes, before anything tries to."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hgr_tf.features import USER
from hgr_tf.metrics import group_auc
from hgr_tf.models.ranker_halves import halves_of


class UserTaste(NamedTuple):
    """Metrics of a ranker with each user's own embedding, and with another's.

    Attributes:
        gauc: With the users' own embeddings.
        permuted_gauc: With the embeddings permuted among the users.
        log_loss: With the users' own embeddings.
        permuted_log_loss: With the embeddings permuted among the users.
        num_users: Users in the data.
    """

    gauc: float
    permuted_gauc: float
    log_loss: float
    permuted_log_loss: float
    num_users: int

    @property
    def gauc_drop(self):
        """GAUC that is due to the users' own embeddings."""
        return self.gauc - self.permuted_gauc

    @property
    def log_loss_rise(self):
        """LogLoss that the users' own embeddings save."""
        return self.permuted_log_loss - self.log_loss


def check_user_taste(
    ranker,
    dataset,
    user_embedding="user_embedding",
    user_id=USER,
    from_logits=True,
    seed=0,
):
    """Permutes the trained user embeddings among the users, and ranks again.

    GAUC ranks items within a user. Where it hardly falls while the LogLoss rises,
    the embedding holds how often a user clicks, not what: groups of users made
    of it are of alike rates, not of alike tastes, and promise little GAUC. What
    another ranker would learn of the same users it does not tell. Nothing is
    trained or changed.

    Args:
        ranker: A trained ranker, as `HierarchicalGroupwiseRanker` takes them (its
            `.ranker` after training).
        dataset: Batches of (inputs, labels[, sample_weight]), each input
            [batch, ...]; read twice.
        user_embedding: Name of the layer whose output, [batch, dim], is the
            user embedding. It must depend on the user alone.
        user_id: Key of the inputs that holds the int user ids.
        from_logits: Whether the ranker gives logits or probabilities.
        seed: Seed of the permutation: a random cycle, so that no user keeps theirs.

    Returns:
        A `UserTaste`.

    Raises:
        ValueError: The data have fewer than two users, or the ranker no such
            layer.

    Example:
        >>> taste = check_user_taste(model.ranker, data.dataset("val", 8192))
        >>> taste.gauc_drop, taste.log_loss_rise
    """
    halves = halves_of(ranker, user_embedding)
    users, embeddings = _embeddings_of_users(halves, dataset, user_id)
    if len(users) < 2:
        raise ValueError(f"`dataset` must have at least 2 users, got {len(users)}")
    anothers = embeddings[_cycle(len(users), seed)]

    @tf.function(reduce_retracing=True)
    def rank(inputs, user_embeddings):
        outputs = halves.rank(inputs, user_embeddings, training=False)
        outputs = tf.reshape(tf.cast(outputs, tf.float64), [-1])
        return tf.sigmoid(outputs) if from_logits else outputs

    columns = []
    for batch in dataset:
        inputs, labels, weights = tf.keras.utils.unpack_x_y_sample_weight(batch)
        ids = _flat(inputs[user_id])
        rows = np.searchsorted(users, ids)
        labels = _flat(labels)
        columns.append(
            (
                labels,
                np.ones(len(labels)) if weights is None else _flat(weights),
                ids,
                rank(inputs, tf.gather(embeddings, rows)).numpy(),
                rank(inputs, tf.gather(anothers, rows)).numpy(),
            )
        )
    labels, weights, ids, own, permuted = map(
        np.concatenate, zip(*columns, strict=True)
    )
    return UserTaste(
        gauc=group_auc(labels, own, ids, weights),
        permuted_gauc=group_auc(labels, permuted, ids, weights),
        log_loss=_log_loss(labels, own, weights),
        permuted_log_loss=_log_loss(labels, permuted, weights),
        num_users=len(users),
    )


def _embeddings_of_users(halves, dataset, user_id):
    """Sorted user ids [users] and their embeddings [users, dim]."""

    @tf.function(reduce_retracing=True)
    def embed(inputs):
        return halves.embed_users(inputs, training=False)

    ids, embeddings = [], []
    for inputs, *_ in dataset:
        batch_ids, first = np.unique(_flat(inputs[user_id]), return_index=True)
        ids.append(batch_ids)
        embeddings.append(embed(inputs).numpy()[first])
    if not ids:
        return np.zeros(0), np.zeros(0)
    users, first = np.unique(np.concatenate(ids), return_index=True)
    return users, np.concatenate(embeddings)[first]


def _cycle(size, seed):
    """A permutation of one cycle: index -> the index whose embedding it gets."""
    order = np.random.default_rng(seed).permutation(size)
    successors = np.empty(size, int)
    successors[order] = np.roll(order, 1)
    return successors


def _flat(tensor):
    return np.asarray(tensor).reshape(-1)


def _log_loss(labels, probabilities, weights):
    probabilities = np.clip(probabilities, 1e-15, 1 - 1e-15)
    losses = -labels * np.log(probabilities) - (1 - labels) * np.log1p(-probabilities)
    return float(np.average(losses, weights=weights))
