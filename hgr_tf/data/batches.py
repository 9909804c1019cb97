"""Batches: any batch of a training run by its number, shuffled exactly."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from hgr_tf.data.row_source import Pool, RowSource
from hgr_tf.data.row_store import joined


class Batches:
    """A sequence of batches, each decided by (seed, epoch, step) alone.

    Every epoch deals the units of the split to pools, in an order drawn from seed and
    epoch; the rows of a pool come in a permutation drawn from seed, epoch and pool. One
    pool that holds the whole split is an exact shuffle of it. Nothing is carried from
    one batch to the next, so a resumed run may start at any step and gets the batches
    that it would have had.

    Args:
        source: The rows.
        batch_size: Rows of a batch.
        epochs: Numbers of the passes over the rows, one after another.
        first_step: Batches of the first of these passes to leave out.
        shuffle: Whether to shuffle; otherwise rows come in the order of the units.
        seed: Seed of the shuffling, at least 0.
        shuffle_buffer: Rows that a pool may have; None for as many as memory holds.
        drop_remainder: Whether to drop a pass's last batch if it is short.
        worker: (index, count): this worker takes its share of the rows of each batch.
            The shares of all workers together are the batch.
    """

    def __init__(
        self,
        source: RowSource,
        batch_size: int,
        epochs: range,
        *,
        first_step: int = 0,
        shuffle: bool = False,
        seed: int = 0,
        shuffle_buffer: int | None = None,
        drop_remainder: bool = False,
        worker: tuple[int, int] = (0, 1),
    ):
        self._source = source
        self._batch_size = batch_size
        self._epochs = epochs
        self._first_step = first_step
        self._shuffle = shuffle
        self._seed = seed
        self._worker = worker
        self._most_rows = min(
            limit or np.inf for limit in (shuffle_buffer, source.most_rows)
        )
        self._rows = sum(unit.rows for unit in source.units)
        whole, rest = divmod(self._rows, batch_size)
        self._steps = whole + (rest > 0 and not drop_remainder)
        self._lock = threading.Lock()
        # Two of each: a batch may reach from one pool or epoch into the next.
        self._plan = lru_cache(maxsize=2)(self._deal)
        self._order = lru_cache(maxsize=2)(self._permute)
        self._pool = lru_cache(maxsize=2)(self._start)

    def __len__(self) -> int:
        return len(self._epochs) * self._steps - self._first_step

    def start(self) -> None:
        """Starts to decode the first rows if the split is kept in memory."""
        if self._source.keeps and len(self):
            self._pool(self._epochs[0], 0)

    def __getitem__(self, index: int) -> list[np.ndarray]:
        """Returns a batch, as `RowStore.take` gives it.

        Raises:
            ManifestError: A shard was removed or altered.
        """
        passes, step = divmod(index + self._first_step, self._steps)
        epoch = self._epochs[passes]
        with self._lock:
            try:
                parts = [
                    self._pool(epoch, pool).take(self._order(epoch, pool)[start:stop])
                    for pool, start, stop in self._pieces(epoch, step)
                ]
                self._prefetch(passes, step)
            except Exception:
                self._pool.cache_clear()  # a shard that is put back is read again
                raise
        return joined(parts)

    def _pieces(self, epoch: int, step: int) -> Iterator[tuple[int, int, int]]:
        """The (pool, start, stop) whose rows make this worker's share of a batch."""
        first = step * self._batch_size
        rows = min(self._batch_size, self._rows - first)
        index, count = self._worker
        start = first + rows * index // count
        stop = first + rows * (index + 1) // count
        _, ends = self._plan(epoch)
        pool = int(np.searchsorted(ends, start, side="right"))
        while True:
            low = int(ends[pool - 1]) if pool else 0
            yield pool, start - low, min(stop, int(ends[pool])) - low
            start = int(ends[pool])
            pool += 1
            if start >= stop:
                return

    def _prefetch(self, passes: int, step: int) -> None:
        """Starts to decode the pool that follows the one in use."""
        epoch = self._epochs[passes]
        *_, (pool, _, _) = self._pieces(epoch, step)
        if pool + 1 < len(self._plan(epoch)[0]):
            self._pool(epoch, pool + 1)
        elif passes + 1 < len(self._epochs):
            self._pool(self._epochs[passes + 1], 0)

    def _deal(self, epoch: int) -> tuple[list[list[int]], np.ndarray]:
        """Indices of the units of each pool; where each pool ends, in rows."""
        units = np.arange(len(self._source.units))
        if self._shuffle:
            units = self._random(epoch, 0).permutation(units)
        pools: list[list[int]] = []
        sizes: list[int] = []
        for unit in units.tolist():
            rows = self._source.units[unit].rows
            # In order, a pool is a unit: the first batch waits for no more.
            if not pools or not self._shuffle or sizes[-1] + rows > self._most_rows:
                pools.append([])
                sizes.append(0)
            pools[-1].append(unit)
            sizes[-1] += rows
        return pools, np.cumsum(sizes)

    def _permute(self, epoch: int, pool: int) -> np.ndarray:
        """Order of the rows of a pool."""
        units = self._plan(epoch)[0][pool]
        rows = sum(self._source.units[unit].rows for unit in units)
        if not self._shuffle:
            return np.arange(rows)
        return self._random(epoch, pool + 1).permutation(rows)

    def _start(self, epoch: int, pool: int) -> Pool:
        return self._source.pool(self._plan(epoch)[0][pool])

    def _random(self, *numbers: int) -> np.random.Generator:
        return np.random.default_rng((self._seed, *numbers))
