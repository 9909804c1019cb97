"""RowSource: the rows of a split, decoded in the background, kept or streamed."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from hgr_tf.data.row_store import RowLayout, RowStore
from hgr_tf.data.shards import Shards, Unit

MOST_THREADS = 4


class RowSource:
    """Gives pools of units of a split, as rows in memory.

    Where all rows fit into the memory that is given and may be kept there, each unit
    is decoded once. Otherwise a pool is decoded each time that it is asked for.

    Attributes:
        units: The units of the split, in order.
        layout: Which columns they have.
        keeps: Whether the rows stay in memory.
        most_rows: The most rows that a pool may have; None for any number.

    Args:
        shards: Where the rows come from.
        layout: Which columns to decode.
        memory: Bytes for rows of the split.
        cache: Whether rows may be kept in memory.

    Raises:
        ValueError: Not even two units fit into the memory.
    """

    def __init__(self, shards: Shards, layout: RowLayout, memory: int, cache: bool):
        self.units = shards.units()
        self.layout = layout
        self._shards = shards
        self._starts = _starts(self.units)
        rows = sum(unit.rows for unit in self.units)
        self.keeps = cache and rows * layout.row_bytes <= memory
        self.most_rows = None if self.keeps else self._most_rows(memory)
        self._store = RowStore(layout, rows) if self.keeps else None
        self._kept: dict[Unit, Future[None]] = {}
        self._lock = threading.Lock()
        self._executor = ThreadPoolExecutor(
            min(MOST_THREADS, os.cpu_count() or 1), "hgr_tf-reader"
        )

    def pool(self, units: list[int]) -> Pool:
        """Starts to decode some units, given by their indices, as one pool."""
        if self._store is not None:
            ranges = [
                np.arange(self._starts[i], self._starts[i] + self.units[i].rows)
                for i in units
            ]
            futures = [self._keep(i, self._store) for i in units]
            return Pool(self._store, futures, np.concatenate(ranges))
        chosen = [self.units[i] for i in units]
        store = RowStore(self.layout, sum(unit.rows for unit in chosen))
        futures = [
            self._executor.submit(self._decode, unit, store, start)
            for unit, start in zip(chosen, _starts(chosen), strict=True)
        ]
        return Pool(store, futures)

    def _keep(self, index: int, store: RowStore) -> Future[None]:
        unit = self.units[index]
        with self._lock:
            before = self._kept.get(unit)
            failed = before and before.done() and before.exception()
            if before is None or failed:  # a shard may have been put back
                self._kept[unit] = self._executor.submit(
                    self._decode, unit, store, self._starts[index]
                )
            return self._kept[unit]

    def _decode(self, unit: Unit, store: RowStore, start: int) -> None:
        store.fill(start, self._shards.decode(unit, self.layout))

    def _most_rows(self, memory: int) -> int:
        # One pool is decoded while the one before is used.
        most_rows = memory // (2 * self.layout.row_bytes)
        largest = max(self.units, key=lambda unit: unit.rows)
        if largest.rows > most_rows:
            needed = -(-2 * largest.rows * self.layout.row_bytes >> 20) + 1
            raise ValueError(
                f"`memory_mb` must be at least {needed} to read the {largest.rows:,} "
                f"rows of {self._shards.path(largest.shard)} that are decoded "
                f"together, got {memory >> 20}; or prepare with a smaller --shard-rows"
            )
        return most_rows


class Pool:
    """Rows that may be asked for in any order.

    Args:
        store: Where they are, or will be.
        futures: Decoding of its units.
        rows: `[n]` places of the pool's rows in the store; None if it holds no others.
    """

    def __init__(
        self,
        store: RowStore,
        futures: list[Future[None]],
        rows: np.ndarray | None = None,
    ):
        self._store = store
        self._futures = futures
        self._rows = rows

    def take(self, rows: np.ndarray) -> list[np.ndarray]:
        """Gathers rows by their numbers in the pool, once they are decoded.

        Returns:
            As `RowStore.take`.

        Raises:
            ManifestError: A shard was removed or altered.
        """
        while self._futures:
            self._futures[-1].result()
            self._futures.pop()
        return self._store.take(rows if self._rows is None else self._rows[rows])


def _starts(units: list[Unit]) -> list[int]:
    return [0, *np.cumsum([unit.rows for unit in units]).tolist()][: len(units)]
