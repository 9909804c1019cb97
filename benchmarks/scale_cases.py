"""What `benchmarks.scale` runs: a growing log, and a job for each step.

Everything grows with the rows as it does at a billion: a user for each 10 rows, one of
20 rows in each of the user table, an item for each 100.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_USER, ROWS_PER_ITEM = 10, 100
ROWS_PER_SHARD = 2_000
"""In the layout by user, so that there are as many shards as at a billion rows."""

PLAIN = """
name: scale
user_id: user
item_id: item
label: click
time: time
time_unit: s
user: {user: {type: hashed, num_buckets: 1000}}
item: {item: {type: hashed, num_buckets: 1000}}
context: {speed: {type: numeric}}
"""
VOCABULARIES = PLAIN.replace("hashed, num_buckets: 1000", "categorical, dtype: int64")
TABLE = """
tables: {user: {key: user}}
"""
WITH_TABLE = PLAIN.replace("1000}}\nitem", "1000}, age: {type: numeric}}\nitem") + TABLE
SPLIT = """
duplicates: count
split: {by: random, fractions: {train: 0.8, val: 0.2}}
"""
HISTORY = """
history: {seen: {of: item, length: 20}}
counters: {rate: {by: user, windows: [all]}}
"""
BY_ITEM = """
counters: {rate: {by: item, windows: [all]}}
"""


@dataclass(frozen=True)
class Case:
    """A job whose costs beyond those of "plain" are those of a step.

    Attributes:
        spec: The feature spec.
        holds: What one worker holds of it at once, where that is measured: all rows
            then meet in one partition, or in one shard.
        arguments: Arguments of `prepare`.
        hot: Share of the rows that are of one user.
        bad: Share of the rows that are bad.
        grouped: Whether rows on their way to many places go to groups of them first, as
            the pipeline has it.
    """

    spec: str
    holds: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)
    hot: float = 0.0
    bad: float = 0.0
    grouped: bool = True


CASES = {
    "plain": Case(PLAIN, "the rows of a shard"),
    "vocabularies": Case(VOCABULARIES, "the distinct values of all features"),
    "shuffled join": Case(
        WITH_TABLE, "the table's rows of a partition", {"join": "shuffle"}
    ),
    "random split": Case(PLAIN + SPLIT, "the hashes of a partition's rows"),
    "past of users": Case(PLAIN + HISTORY, "the timeline of a partition's users"),
    "past of items": Case(PLAIN + BY_ITEM, "the timeline of a partition's items"),
    "hot user": Case(PLAIN + HISTORY, "", {}, hot=0.2),
    "layout by user": Case(PLAIN, "", {"layout": "user", "shard_rows": ROWS_PER_SHARD}),
    "layout by user, without groups": Case(
        PLAIN, "", {"layout": "user", "shard_rows": ROWS_PER_SHARD}, grouped=False
    ),
    "bad rows": Case(PLAIN, "", {"max_bad_fraction": 1.0}, bad=0.1),
}


def write_inputs(case: Case, rows: int, folder: Path, seed: int) -> dict[str, object]:
    """Writes the log, and the table if there is one; gives the arguments for it."""
    rng = np.random.default_rng(seed)
    users = rng.integers(0, rows // ROWS_PER_USER, rows)
    users[: int(case.hot * rows)] = 0
    click = rng.integers(0, 2, rows).astype(np.float64)
    click[rng.random(rows) < case.bad] = 7  # no label
    log = pa.table(
        {
            "user": rng.permutation(users),
            "item": rng.zipf(1.3, rows) % (rows // ROWS_PER_ITEM),
            "click": click,
            "time": rng.integers(1_700_000_000, 1_700_600_000, rows),
            "speed": rng.normal(size=rows),
        }
    )
    pq.write_table(log, folder / "log.parquet", row_group_size=131_072)
    arguments: dict[str, object] = {"inputs": [str(folder / "log.parquet")]}
    if TABLE in case.spec:
        count = rows // ROWS_PER_USER
        ages = rng.integers(10, 90, count)
        pq.write_table(
            pa.table({"user": np.arange(count), "age": ages}), folder / "users.parquet"
        )
        arguments["user_table"] = str(folder / "users.parquet")
    return arguments | dict(case.arguments)
