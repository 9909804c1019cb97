"""Random logs, and what the pipeline makes of them without Beam."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from hgr_tf.features import FeatureSpec
from hgr_tf.pipelines.histories.columns import PastColumns
from hgr_tf.pipelines.histories.partition import past_of_partition
from hgr_tf.pipelines.histories.past import runs_and_ties
from hgr_tf.pipelines.histories.timeline import ITEM, TIE, USER, timeline
from hgr_tf.pipelines.rows.fields import SPLIT
from hgr_tf.pipelines.rows.validation import check_log
from hgr_tf.pipelines.sources import RawBatch
from hgr_tf.pipelines.tables.joining import Joined

SPLITS = ("train", "val", "test")
COLUMNS = ("user", "item", "author", "request", "label", "t")

SPEC = """
name: past
user_id: user
item_id: item
label: label
time: t
time_unit: s
user: {user: {type: categorical}}
item: {item: {type: categorical}, author: {type: categorical}}
"""


def make_spec(**sections) -> FeatureSpec:
    """The spec of the random logs, with more sections; None takes one out."""
    base = FeatureSpec.from_yaml(SPEC).model_dump(by_alias=True, exclude_none=True)
    given = {**base, **sections}
    return FeatureSpec.model_validate({k: v for k, v in given.items() if v is not None})


@st.composite
def logs(draw, max_rows=40):
    """Rows with few users, items and times, so that all of them meet and tie."""
    step = draw(st.sampled_from([1, 3_600, 40_000]))
    row = st.fixed_dictionaries(
        {
            "user": st.sampled_from("uv"),
            "item": st.sampled_from("abc"),
            "author": st.sampled_from(["x", "y", None]),
            "request": st.sampled_from("pqr"),
            "label": st.sampled_from([0.0, 1.0]),
            "t": st.integers(0, 12).map(lambda n: n * step),
        }
    )
    rows = draw(st.lists(row, min_size=1, max_size=max_rows))
    first, second = sorted(draw(st.tuples(*[st.integers(1, 12)] * 2)))
    for number, one in enumerate(rows):
        split = (one["t"] >= first * step) + (one["t"] >= second * step)
        one.update(id=number, split=SPLITS[split])
    return rows


def checked(rows, spec: FeatureSpec) -> pa.Table:
    """The rows as the first pass leaves them."""
    columns = {c: pa.array([row[c] for row in rows]) for c in COLUMNS}
    if all(author is None for author in columns["author"].to_pylist()):
        columns["author"] = columns["author"].cast(pa.string())
    batch = RawBatch(columns, np.arange(len(rows)), str)
    table, checks = check_log(batch, spec)
    assert checks.good.all()
    splits = pa.array([SPLITS.index(row["split"]) for row in rows], pa.int8())
    return table.append_column(SPLIT, splits)


def starts_of(rows) -> dict[str, int]:
    """First time of each split."""
    return {
        split: min(row["t"] for row in rows if row["split"] == split)
        for split in {row["split"] for row in rows}
    }


def past_of(rows, spec: FeatureSpec, counter: str | None = None):
    """The columns of the rows' past; each row gets its "tie" for the reference."""
    line = timeline(Joined(checked(rows, spec), {}, {}), spec)
    ties = line[TIE].to_pylist()
    if counter:
        words = {name: line[name].to_numpy() for name in (USER, ITEM, TIE)}
        ties = runs_and_ties(words)[1].tolist()
    for row, tie in zip(rows, ties, strict=True):
        row["tie"] = tie
    starts = {SPLITS.index(split): time for split, time in starts_of(rows).items()}
    past = past_of_partition(line, spec, SPLITS, starts, counter)
    columns = PastColumns(line, past, spec).of(np.arange(len(rows)))
    return {name: column.to_pylist() for name, column in columns.items()}
