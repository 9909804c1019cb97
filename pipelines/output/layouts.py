"""Where a row goes: its shard, and its place there."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hgr_tf.pipelines.kernels.randomness import mixed, random_words
from hgr_tf.pipelines.rows.fields import id_field
from hgr_tf.pipelines.rows.splits import user_words
from hgr_tf.pipelines.settings import Layout, Settings
from hgr_tf.pipelines.tables.side_table import SideTable
from hgr_tf.pipelines.tables.user_codes import PATH_BITS, user_paths

SORT_KEY = "__sort_key__"
"""Column that the rows of a shard are sorted by."""

FAN_OUT = 64
"""Shards that one batch of a shuffled layout is dealt to, at most."""

Places = tuple[np.ndarray, np.ndarray]


def places(
    rows: pa.Table,
    settings: Settings,
    key: tuple[int, ...],
    num_shards: int,
    codes: SideTable | None = None,
) -> Places:
    """Shard and sort key of each row.

    Args:
        rows: `[n]` checked log rows.
        settings: Settings of the run.
        key: Identifies the batch.
        num_shards: Shards of the split.
        codes: Codes of the users, for the layout "code".

    Returns:
        `[n]` int64 shards; `[n]` uint64 keys that rows of a shard sort by.
    """
    if settings.layout == "user":
        return _by_user(rows, settings, num_shards)
    if settings.layout == "code":
        return _by_code(rows, settings, key, num_shards, codes)
    return _shuffled(rows.num_rows, settings.seed, key, num_shards)


def reaches_all(layout: Layout) -> bool:
    """Whether a batch has rows for every shard."""
    return layout != "shuffled"


def _shuffled(n: int, seed: int, key: tuple[int, ...], num_shards: int) -> Places:
    # One batch reaches few shards, spread over all of them, so that the number
    # of blocks stays linear in the data.
    words = random_words(seed, "places", key, 2 * n + 1)
    fan = min(FAN_OUT, num_shards)
    dealt = (words[1 : n + 1] % np.uint64(fan)).astype(np.int64) * num_shards // fan
    first = int(words[0] % np.uint64(num_shards))
    return (dealt + first) % num_shards, words[n + 1 :]


def _by_user(rows: pa.Table, settings: Settings, num_shards: int) -> Places:
    # A user's rows lie together, in the order they came: sorting is stable.
    words = mixed(user_words(rows, settings.spec), settings.seed)
    return (words % np.uint64(num_shards)).astype(np.int64), words


def _by_code(
    rows: pa.Table,
    settings: Settings,
    key: tuple[int, ...],
    num_shards: int,
    codes: SideTable | None,
) -> Places:
    # Equal prefixes share a shard; equal codes lie together, at random.
    users = rows[id_field(settings.spec, "user").name]
    if codes is None:
        raise ValueError("the layout 'code' needs the codes of users, got none")
    prefixes, paths = user_paths(users, codes)
    shards = mixed(prefixes, settings.seed) % np.uint64(num_shards)
    chance = random_words(settings.seed, "places", key, rows.num_rows)
    keys = (paths << np.uint64(64 - PATH_BITS)) | (chance >> np.uint64(PATH_BITS))
    return shards.astype(np.int64), keys
