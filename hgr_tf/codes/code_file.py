"""The file of codes: a Parquet table that `hgr-tf prepare --code-table` takes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hgr_tf.codes.coded import Coded


def write_codes(parts: Iterable[Coded], path: str | Path, id_column: str) -> int:
    """Writes codes as they come; the file appears whole or not at all.

    Its columns are the raw id, code_1, ..., code_L (int32), and `distance`
    (float32).

    Args:
        parts: Ids with their codes.
        path: The Parquet file to write.
        id_column: Name of the column of ids: the spec's `user_id` or `item_id`.

    Returns:
        The number of rows.

    Raises:
        ValueError: There are no rows.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    rows = 0
    writer: pq.ParquetWriter | None = None
    try:
        for table in _tables(parts, id_column):
            writer = writer or pq.ParquetWriter(temporary, table.schema)
            writer.write_table(table)
            rows += len(table)
        if writer is None:
            raise ValueError(f"{path}: there is no {id_column!r} to write codes of")
        writer.close()
        os.replace(temporary, path)
    finally:
        if writer is not None:
            writer.close()
        temporary.unlink(missing_ok=True)
    return rows


def _tables(parts: Iterable[Coded], id_column: str) -> Iterator[pa.Table]:
    for part in parts:
        codes = {f"code_{i}": level for i, level in enumerate(part.codes.T, start=1)}
        yield pa.table({id_column: part.ids, **codes, "distance": part.distances})
