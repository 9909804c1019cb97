"""A warning where training has seen (nearly) no user of the validation split."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np

from hgr_tf.features import USER, FeatureEncoding

log = logging.getLogger(__name__)

_MOST = 0.95
_BATCHES = 4


def warn_of_unseen_users(
    encoding: FeatureEncoding, batches: Iterable[Any], split: str
) -> float | None:
    """Warns when the embeddings of a split's users were never trained.

    A loss on the user side moves the embedding of each user, and those of users that
    training has not seen are all the one of "unknown".

    Args:
        encoding: The encoding of the data.
        batches: The (inputs, labels[, sample_weight]) of the split; the first four
            are looked at.
        split: Its name.

    Returns:
        The share of the users looked at that are unknown, or None where no feature
        with a vocabulary is made of the user's id.
    """
    feature = encoding.known_users
    if feature is None:
        return None
    first_known = encoding.first_vocabulary_id(feature)
    known: dict[int, bool] = {}
    for _, (inputs, *_rest) in zip(range(_BATCHES), batches, strict=False):
        ids = np.asarray(inputs[feature]).reshape(-1)
        users = np.asarray(inputs[USER]).reshape(-1)
        known.update(zip(users.tolist(), (ids >= first_known).tolist(), strict=True))
    if not known:
        return None
    unseen = 1 - sum(known.values()) / len(known)
    if unseen >= _MOST:
        log.warning(
            "%.0f%% of the users of %r looked at are not in training: their embeddings "
            "are that of unknown users, so no loss on the user side can show there; "
            "split by time or at random instead of by user, or lower `min_count` of %r",
            100 * unseen,
            split,
            feature,
        )
    return unseen
