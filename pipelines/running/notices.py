"""What a finished run has to say that a user should not overlook."""

from __future__ import annotations

from hgr_tf.data.manifest import Manifest
from hgr_tf.features.splits import TRAIN
from hgr_tf.pipelines.settings import Settings
from hgr_tf.pipelines.steps.join_keys import key_of_each_side

UNMATCHED_SHARE = 0.5
"""Of the log rows without a row in a table, past which it is worth a word."""


def notices(settings: Settings, manifest: Manifest) -> list[str]:
    """One line for each thing that is likely not meant."""
    lines = []
    if settings.spec.split is None and settings.files[0].split is None:
        lines.append(
            f"every row is in {TRAIN!r}: the spec has no `split`, and the inputs are "
            "not given by split (train=..., val=...); `hgr-tf train` needs another "
            "split to validate on"
        )
    empty = [name for name in settings.splits if name not in manifest.splits]
    if empty:
        lines.append(f"no row is in {empty}")
    counts = manifest.counters
    rows = counts.get("rows_good", 0)
    for owner in settings.tables:
        without = counts.get(f"rows_without_{owner}", 0)
        if without > UNMATCHED_SHARE * rows:
            lines.append(
                f"{without:,} rows of {rows:,} have no row in the {owner} table: "
                f"{key_of_each_side(settings, owner)}"
            )
    if twice := counts.get("rows_in_two_splits", 0):
        lines.append(
            f"{twice:,} rows are in two splits (rows_in_two_splits): they equal a row "
            "of an earlier split in every column that the spec names, so that a model "
            "is asked what it was told; `overlap: fail` stops at them"
        )
    if broken := counts.get("values_with_line_ends", 0):
        lines.append(
            f"{broken:,} values hold line ends (values_with_line_ends): vocabularies "
            "cannot, so they are unknown values"
        )
    return lines
