"""User codes from a quantizer, which rows may be laid out by."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features import FeatureSpec, Format
from hgr_tf.pipelines.errors import PrepareError
from hgr_tf.pipelines.files.blocks import Block
from hgr_tf.pipelines.files.files import File
from hgr_tf.pipelines.rows.casting import cast
from hgr_tf.pipelines.rows.fields import Field
from hgr_tf.pipelines.sources import RawBatch, Unit, plan_units, read_unit
from hgr_tf.pipelines.sources.formats import column_names, resolve
from hgr_tf.pipelines.tables.side_table import SideTable, first_of_each, side_table

CODES = "codes"
KEY, PREFIX, PATH = "user", "prefix", "path"
PATH_BITS = 40


def load_codes(file: File, spec: FeatureSpec, prefix_levels: int) -> pa.Table:
    """Reads a table of codes: the user id column and code_1, code_2, ...

    Returns:
        Columns KEY; PREFIX, uint64, equal for users that share the first
        `prefix_levels` levels; PATH, uint64 below 2^PATH_BITS, which sorts like
        the codes.

    Raises:
        PrepareError: There are no codes, or they do not fit.
    """
    if resolve(file.path, Format()).type == "jsonl":
        raise PrepareError(
            f"{file.path}: a code table must be of a format that names its columns "
            "once, got JSON Lines, where each row names its own"
        )
    levels = _levels(column_names(file, Format()))
    if not levels:
        raise PrepareError(f"{file.path}: no column code_1, code_2, ...")
    columns = [spec.user_id, *levels]
    units = plan_units(file, 0, Format(), columns)
    parts = [
        _read(unit, batch, spec, levels)
        for unit in units
        for batch in read_unit(unit, columns)
    ]
    if not parts:
        raise PrepareError(f"{file.path}: holds no codes")
    keys = pa.chunked_array([keys for keys, _ in parts])
    codes = np.concatenate([codes for _, codes in parts])
    paths, prefixes = _packed(codes, file), _packed(codes[:, :prefix_levels], file)
    table = pa.table({KEY: keys, PREFIX: prefixes, PATH: paths})
    return table.take(first_of_each(table[KEY]))


def code_table(tables: dict[str, Block]) -> SideTable | None:
    """The codes among the tables of a run, read once a worker; None without."""
    return side_table(tables[CODES], KEY) if CODES in tables else None


def user_paths(ids: pa.ChunkedArray, codes: SideTable) -> tuple[np.ndarray, np.ndarray]:
    """Prefix and path of each user; 0 for those without a code."""
    rows = codes.rows.take(pa.array(codes.positions(ids)))
    prefixes, paths = (
        pc.fill_null(rows[name], 0).to_numpy().astype(np.uint64)
        for name in (PREFIX, PATH)
    )
    return prefixes, paths


def _levels(names: list[str]) -> list[str]:
    found = [name for name in names if re.fullmatch(r"code_\d+", name)]
    return sorted(found, key=lambda name: int(name.removeprefix("code_")))


def _read(
    unit: Unit, batch: RawBatch, spec: FeatureSpec, levels: list[str]
) -> tuple[pa.Array, np.ndarray]:
    keys = cast(batch.columns[spec.user_id], Field("", spec.id_dtype("user")), ())
    codes = [cast(batch.columns[c], Field("", "int64"), ()) for c in levels]
    for column in (keys, *codes):
        if column.values.null_count or batch.rejected:
            raise PrepareError(f"{unit.path}: a code or user is missing or malformed")
    return keys.values, np.stack([c.values.to_numpy() for c in codes], axis=1)


def _packed(codes: np.ndarray, file: File) -> np.ndarray:
    """One number a user, which sorts like its codes and is never 0."""
    if codes.min() < 0:
        raise PrepareError(f"{file.path}: codes must be 0 or more, got {codes.min()}")
    packed, bits = np.zeros(len(codes), np.uint64), 0
    for level in codes.T:
        width = int(level.max() + 1).bit_length()
        bits += width
        packed = (packed << np.uint64(width)) | (level + 1).astype(np.uint64)
    if bits > PATH_BITS:
        raise PrepareError(
            f"{file.path}: codes take {bits} bits a user, at most {PATH_BITS} fit"
        )
    return packed
