"""ParquetShards: encoded columns; a unit is a row group."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hgr_tf.data.manifest import ManifestError
from hgr_tf.data.row_store import Columns, RowLayout
from hgr_tf.data.shards import Shards, Unit
from hgr_tf.features.kind import Form


class ParquetShards(Shards):
    """Shards that `hgr-tf prepare --output-format parquet` wrote.

    A row group is read on its own, so the bytes that are read are checked by
    Parquet's page checksums; the shard's SHA-256 is checked again where one fails.
    """

    def has(self, name: str) -> bool:
        """Whether there is a column of this name."""
        return name in self._footer(0).schema.to_arrow_schema().names

    def units(self) -> list[Unit]:
        """The row groups that have rows."""
        units = []
        for shard in range(len(self.listed)):
            footer = self._footer(shard)
            for part in range(footer.num_row_groups):
                if rows := footer.row_group(part).num_rows:
                    units.append(Unit(shard, rows, part))
        return units

    def decode(self, unit: Unit, layout: RowLayout) -> Columns:
        """Reads a row group; lists come padded."""
        names = list(layout.names)
        try:
            with pq.ParquetFile(
                self.path(unit.shard), page_checksum_verification=True
            ) as file:
                table = file.read_row_group(unit.part, names, use_threads=False)
            return {
                name: _values(table[name].combine_chunks(), layout.lists.get(name))
                for name in names
            }
        except (OSError, pa.ArrowException, KeyError) as error:
            self.check(unit.shard)  # says that it is missing or altered, if so
            raise ManifestError(
                f"{self.path(unit.shard)}: cannot be decoded ({error}); "
                "run `hgr-tf prepare` again"
            ) from error

    def _footer(self, shard: int) -> pq.FileMetaData:
        return pq.read_metadata(self.path(shard))


def _values(column: pa.Array, form: Form | None) -> np.ndarray:
    if form is None or form.size is None:
        return column.to_numpy(zero_copy_only=False)
    values, lengths = column.flatten(), column.value_lengths()
    return padded(values.to_numpy(), lengths.to_numpy(), form.size)


def padded(values: np.ndarray, lengths: np.ndarray, size: int) -> np.ndarray:
    """Lists as rows of a matrix.

    Args:
        values: The values of all lists, one list after the other.
        lengths: `[n]` how many each has.
        size: Length of the rows; values past it are cut off.

    Returns:
        `[n, size]`, filled up with 0.
    """
    rows = np.zeros((len(lengths), size), values.dtype)
    row = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept = place < size
    rows[row[kept], place[kept]] = values[kept]
    return rows
