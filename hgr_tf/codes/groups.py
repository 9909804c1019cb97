"""Groups: what the rows of each prefix of the codes have in common."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

import numpy as np
import scipy.sparse as sp

from hgr_tf.features import Feature, FeatureEncoding
from hgr_tf.features.keys import USER

SMALLEST_SHARE = 0.02
"""Values of a smaller share of a group's rows are not named: chance lifts them."""

Batches = Iterable[tuple[Mapping[str, np.ndarray], np.ndarray]]


class TopValue(NamedTuple):
    """A value that a group has more often than all rows do.

    Attributes:
        feature: Name of the feature.
        value: The value, as text.
        share: Share of the group's values of the feature.
        lift: That share over the share among all rows.
    """

    feature: str
    value: str
    share: float
    lift: float


class Group(NamedTuple):
    """The rows whose user, or item, has codes that begin so.

    Attributes:
        prefix: The codes, one for each level.
        members: Users or items with rows in the split.
        rows: Rows of the split.
        positive_rate: Their mean label; NaN without rows.
        top: Values that tell the group apart most: of largest share * log(lift).
    """

    prefix: tuple[int, ...]
    members: int
    rows: int
    positive_rate: float
    top: tuple[TopValue, ...]


def describe_groups(
    batches: Batches,
    keys: np.ndarray,
    codes: np.ndarray,
    encoding: FeatureEncoding,
    key: str = USER,
    num_top: int = 3,
) -> list[Group]:
    """Counts the rows of a split by every prefix of the codes.

    Args:
        batches: Encoded features by name, with `key` among them, and labels.
        keys: int64 [n], distinct: the users or items that have codes.
        codes: int32 [n, levels].
        encoding: Of the features.
        key: Entry of the features that holds the keys.
        num_top: How many values are named for each group.

    Returns:
        Groups with rows, in the order of their prefixes, parents before children.
        Rows whose key has no codes belong to none.
    """
    order = np.argsort(keys)
    keys, codes = keys[order], codes[order]
    leaves, leaf_of = np.unique(codes, axis=0, return_inverse=True)
    leaf_of = leaf_of.ravel()  # some versions of numpy keep a second axis
    counts = _Counts(keys, leaf_of, len(leaves), _described(encoding, key), encoding)
    for features, labels in batches:
        counts.add(features, labels, np.asarray(features[key]))
    return list(_groups(leaves, counts, num_top))


class _Counts:
    """Rows, positives, members and values of each leaf, the whole code."""

    def __init__(
        self,
        keys: np.ndarray,
        leaf_of: np.ndarray,
        leaves: int,
        features: list[Feature],
        encoding: FeatureEncoding,
    ) -> None:
        self._keys, self._leaf_of = keys, leaf_of
        self._seen = np.zeros(len(keys), bool)
        self.rows = np.zeros(leaves)
        self.positives = np.zeros(leaves)
        self.encoding = encoding
        self.values = {
            f.name: sp.csr_matrix((leaves, encoding.num_ids(f.name))) for f in features
        }

    def add(
        self, features: Mapping[str, np.ndarray], labels: np.ndarray, keys: np.ndarray
    ) -> None:
        """Counts a batch."""
        place = np.searchsorted(self._keys, keys).clip(max=len(self._keys) - 1)
        coded = self._keys[place] == keys
        place = place[coded]
        self._seen[place] = True
        leaf, size = self._leaf_of[place], len(self.rows)
        self.rows += np.bincount(leaf, minlength=size)
        label = np.asarray(labels, np.float64).ravel()[coded]
        self.positives += np.bincount(leaf, label, size)
        for name, counts in self.values.items():
            ids = np.asarray(features[name])[coded].reshape(len(leaf), -1)
            rows = np.repeat(leaf, ids.shape[1])
            ones = (ids.ravel() != 0).astype(np.float64)
            self.values[name] = counts + sp.csr_matrix(
                (ones, (rows, ids.ravel())), counts.shape
            )

    @property
    def members(self) -> np.ndarray:
        """Keys of each leaf that were seen."""
        return np.bincount(self._leaf_of[self._seen], minlength=len(self.rows))


def _described(encoding: FeatureEncoding, key: str) -> list[Feature]:
    """Features whose values tell a group apart: not the id of what is grouped."""
    spec = encoding.spec
    owner: Literal["user", "item"] = "user" if key == USER else "item"
    ids = spec.id_feature(owner)
    return [f for f in spec.features(owner) if f.transform.is_categorical and f != ids]


def _groups(leaves: np.ndarray, counts: _Counts, num_top: int) -> Iterator[Group]:
    members = counts.members
    everywhere = {
        name: np.asarray(values.sum(axis=0)).ravel()
        for name, values in counts.values.items()
    }
    for level in range(1, leaves.shape[1] + 1):
        prefixes, parent = np.unique(leaves[:, :level], axis=0, return_inverse=True)
        sums = sp.csr_matrix(
            (np.ones(len(leaves)), (parent.ravel(), np.arange(len(leaves)))),
            (len(prefixes), len(leaves)),
        )
        rows, positives = sums @ counts.rows, sums @ counts.positives
        own_members = sums @ members
        values = {name: (sums @ v).tocsr() for name, v in counts.values.items()}
        for index in np.flatnonzero(rows):
            yield Group(
                tuple(prefixes[index].tolist()),
                int(own_members[index]),
                int(rows[index]),
                float(positives[index] / rows[index]),
                _top(
                    counts.encoding,
                    {name: own[index] for name, own in values.items()},
                    everywhere,
                    num_top,
                ),
            )


def _top(
    encoding: FeatureEncoding,
    values: Mapping[str, sp.csr_matrix],
    everywhere: Mapping[str, np.ndarray],
    num_top: int,
) -> tuple[TopValue, ...]:
    found: list[TopValue] = []
    for name, own in values.items():
        total = own.sum()
        if not total:
            continue
        ids, shares = own.indices, own.data / total
        lifts = shares / (everywhere[name][ids] / everywhere[name].sum())
        for i in np.flatnonzero((shares >= SMALLEST_SHARE) & (lifts > 1)):
            text = value_text(encoding, name, int(ids[i]))
            found.append(TopValue(name, text, float(shares[i]), float(lifts[i])))
    found.sort(key=lambda t: (-t.share * math.log(t.lift), t.feature, t.value))
    return tuple(found[:num_top])


def value_text(encoding: FeatureEncoding, name: str, id_: int) -> str:
    """What an id of a feature stands for, in words."""
    value = encoding.value_of(name, id_)
    if value is not None:
        return value
    boundaries = encoding.learned(name).boundaries
    if boundaries is not None:
        edges = ["", *map("{:g}".format, boundaries), ""]
        return f"{edges[id_ - 1]}..{edges[id_]}"
    return f"#{id_}"
