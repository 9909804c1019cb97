"""Shards: what the reader asks of a storage format, whatever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from hgr_tf.data.manifest import Shard, check_shard
from hgr_tf.data.row_store import Columns, RowLayout


@dataclass(frozen=True)
class Unit:
    """Rows that are decoded together.

    Attributes:
        shard: Index of its shard.
        rows: Number of its rows.
        part: Index within the shard.
    """

    shard: int
    rows: int
    part: int = 0


class Shards(ABC):
    """The shards of one split, in one storage format.

    Args:
        folder: The prepared folder.
        listed: The shards as the manifest lists them; they have been checked.
    """

    def __init__(self, folder: Path, listed: list[Shard]):
        self.folder = folder
        self.listed = listed

    def path(self, shard: int) -> Path:
        """Where a shard lies."""
        return self.folder / self.listed[shard].file

    def check(self, shard: int) -> None:
        """Raises `ManifestError` if a shard is missing or altered."""
        check_shard(self.folder, self.listed[shard])

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether rows have a column of this name."""

    @abstractmethod
    def units(self) -> list[Unit]:
        """The units in the order of their rows; each has a row at least."""

    @abstractmethod
    def decode(self, unit: Unit, layout: RowLayout) -> Columns:
        """Decodes the columns of a layout.

        Raises:
            ManifestError: The shard was removed or altered; the message names it.
        """
