"""tf.train.Example bytes of whole batches, without a loop over rows.

The bytes equal `tf.train.Example.SerializeToString(deterministic=True)`, with map
entries by ascending key. An entry that depends on a side table's row alone is
serialized once for each table row; neighbouring ones are joined. A log row then only
gathers a few byte strings.
"""

from __future__ import annotations

import itertools

import pyarrow as pa

from hgr_tf.features import ITEM, TIME, USER, FeatureEncoding
from hgr_tf.pipelines.encoding.feature_encoder import FeatureEncoder
from hgr_tf.pipelines.kernels.wire import (
    concatenated,
    float_entries,
    float_list_entries,
    int64_entries,
    int64_list_entries,
    messages,
)
from hgr_tf.pipelines.rows.fields import feature_field, id_numbers, time_field
from hgr_tf.pipelines.rows.targets import Targets
from hgr_tf.pipelines.tables.joining import LOG, Joined, home_of, values_of
from hgr_tf.pipelines.tables.side_table import SideTable


class ExampleEncoder:
    """Serializes batches of one prepared data set."""

    def __init__(self, encoding: FeatureEncoding):
        self._spec = encoding.spec
        self._features = {
            name: encoder
            for encoder in (FeatureEncoder(f, encoding) for f in self._spec.features())
            for name in encoder.feature.inputs
        }
        self._segments: dict[tuple[str, str], dict[tuple[str, ...], pa.Array]] = {}

    def encode(self, joined: Joined, targets: Targets) -> pa.Array:
        """`[n]` serialized examples."""
        reserved = self.reserved(joined.rows, targets)
        keys = [*self._features, *reserved]
        return self.example(joined, keys, reserved)

    def reserved(self, rows: pa.Table, targets: Targets) -> dict[str, pa.Array]:
        """Map entries of the reserved keys, one array of `[n]` a key."""
        entries = {
            USER: int64_entries(USER, id_numbers(rows, self._spec, "user")),
            ITEM: int64_entries(ITEM, id_numbers(rows, self._spec, "item")),
        }
        for key, values in (targets.labels | targets.weights).items():
            entries[key] = float_entries(key, values)
        if time := time_field(self._spec):
            entries[TIME] = int64_entries(TIME, rows[time.name].to_numpy())
        return entries

    def example(
        self, joined: Joined, keys: list[str], reserved: dict[str, pa.Array]
    ) -> pa.Array:
        """`[n]` serialized examples of some keys only."""
        parts = []
        by_key = sorted(keys, key=_upb_order)
        for home, group in itertools.groupby(by_key, lambda k: self._home(k, joined)):
            run = tuple(group)
            if home == LOG:
                parts += [self._log_entry(k, joined, reserved) for k in run]
            else:
                segment = self._segment(home, run, joined.tables[home])
                parts.append(segment.take(pa.array(joined.positions[home])))
        return messages(1, parts)

    def _home(self, key: str, joined: Joined) -> str:
        encoder = self._features.get(key)
        return home_of(encoder.feature, joined) if encoder else LOG

    def _log_entry(
        self, key: str, joined: Joined, reserved: dict[str, pa.Array]
    ) -> pa.Array:
        if key in reserved:
            return reserved[key]
        feature = self._features[key].feature
        return self._entries(key, values_of(feature, joined, self._spec))

    def _segment(self, owner: str, run: tuple[str, ...], table: SideTable) -> pa.Array:
        made = self._segments.setdefault((owner, table.digest), {})
        if run not in made:
            made[run] = concatenated([self._side_entry(k, table.rows) for k in run])
        return made[run]

    def _side_entry(self, key: str, rows: pa.Table) -> pa.BinaryArray:
        name = feature_field(self._features[key].feature).name
        return self._entries(key, rows[name].combine_chunks())

    def _entries(self, name: str, column: pa.Array) -> pa.BinaryArray:
        encoder = self._features[name]
        encoded = encoder(column)[name]
        is_list = pa.types.is_list(encoded.type)
        if encoder.feature.inputs[name].dtype == "float32":
            if is_list:
                return float_list_entries(name, encoded)
            return float_entries(name, encoded.to_numpy())
        if is_list:
            return int64_list_entries(name, encoded)
        return int64_entries(name, encoded.to_numpy())


def _upb_order(key: str) -> bytes:
    # Protobuf's runtime for Python puts "ab" before its prefix "a".
    return key.encode() + b"\xff"
