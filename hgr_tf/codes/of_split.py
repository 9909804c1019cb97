"""Groups of the rows of a split, by codes of its users or items."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hgr_tf.codes.coded import Coded
from hgr_tf.codes.groups import Group, describe_groups
from hgr_tf.data import PreparedData
from hgr_tf.features import USER

_BATCH = 8192


def groups_of_split(
    data: PreparedData,
    split: str,
    parts: Sequence[Coded],
    key: str = USER,
    label: str | None = None,
    given: str | None = None,
) -> list[Group]:
    """Describes the groups of a split's rows; see `describe_groups`.

    Args:
        data: Prepared data.
        split: Name of the split.
        parts: All users or items that have codes.
        key: Entry of the features that holds their keys.
        label: Which of several labels is described; the first by default.
        given: The label that must be positive for a row to count, if any.

    Raises:
        ValueError: There are no codes.
    """
    if not parts:
        raise ValueError(f"no row of {split!r} is of users that have codes")

    def batches() -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        with data.errors():
            for features, labels, *_ in data.dataset(split, _BATCH):
                counted = slice(None) if given is None else labels[given].numpy() > 0
                if isinstance(labels, dict):
                    labels = labels[label or next(iter(labels))]
                kept = {k: v.numpy()[counted] for k, v in features.items()}
                yield kept, labels.numpy()[counted]

    return describe_groups(
        batches(),
        np.concatenate([part.keys for part in parts]),
        np.concatenate([part.codes for part in parts]),
        data.encoding,
        key,
    )
