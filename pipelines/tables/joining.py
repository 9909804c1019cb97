"""Checked log rows beside the rows of the side tables that belong to them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from hgr_tf.features import Feature, FeatureSpec
from hgr_tf.pipelines.files.blocks import Block
from hgr_tf.pipelines.rows.fields import feature_field, id_field, key_field
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.tables.side_table import SideTable, side_table

LOG = "log"


class Joined(NamedTuple):
    """Log rows with the side tables that they are joined to.

    Attributes:
        rows: Checked log rows.
        tables: Side table of each owner that has one.
        positions: `[n]` row of that table for each log row.
    """

    rows: pa.Table
    tables: dict[str, SideTable]
    positions: dict[str, np.ndarray]

    def take(self, kept: np.ndarray) -> Joined:
        """The rows at the given positions."""
        positions = {owner: at[kept] for owner, at in self.positions.items()}
        return Joined(self.rows.take(pa.array(kept)), self.tables, positions)


def home_of(feature: Feature, joined: Joined) -> str:
    """Where the values of a feature lie: the owner of a side table, or `LOG`."""
    aside = feature.from_table and feature.owner in joined.tables
    return feature.owner if aside else LOG


def values_of(feature: Feature, joined: Joined, spec: FeatureSpec) -> pa.Array:
    """`[n]` typed values of a feature in the log rows, wherever they lie."""
    if parts := feature.transform.parts:
        values = [values_of(spec.feature(name), joined, spec) for name in parts]
        return feature.transform.combine(values)
    home, name = home_of(feature, joined), feature_field(feature).name
    if home == LOG:
        return joined.rows[name].combine_chunks()
    column = joined.tables[home].rows[name].combine_chunks()
    return column.take(pa.array(joined.positions[home]))


def side_tables(settings: Settings, blocks: dict[str, Block]) -> dict[str, SideTable]:
    """The side tables of a run, read once a worker."""
    return {
        owner: side_table(blocks[owner], key_field(settings.spec, owner).name)
        for owner in settings.side_owners()
    }


def join_side(
    rows: pa.Table, settings: Settings, tables: dict[str, SideTable]
) -> Joined:
    """Finds each row's row in every side table."""
    positions: dict[str, np.ndarray] = {
        owner: tables[owner].positions(rows[id_field(settings.spec, owner).name])
        for owner in settings.side_owners()
    }
    return Joined(rows, tables, positions)
