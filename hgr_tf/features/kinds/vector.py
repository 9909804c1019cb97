"""A list of numbers of one fixed size, such as a pretrained embedding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from hgr_tf.features.column_summary import ColumnSummary, value_lengths
from hgr_tf.features.kind import UNSEEN_SHARE, Arrays, Dtype, Form, Kind, Learned


class Vector(Kind):
    """A list of `size` numbers that the model sees as they are, as float32s.

    A row whose list is missing or empty gets zeros; one with another number of
    values, or with a missing value among them, is bad. Pretrained vectors of items
    come from the item table, as the vectors of users do from theirs.

    Attributes:
        size: Numbers of each row.
        delimiter: Separates the numbers in a text column; columns of lists
            are taken as they are.
    """

    FREE: ClassVar[frozenset[str]] = Kind.FREE | {"delimiter"}

    type: Literal["vector"] = "vector"
    size: int = Field(ge=1)
    delimiter: str = Field(",", min_length=1)

    @property
    def dtype(self) -> Dtype:
        """Type of the numbers."""
        return "float32"

    @property
    def forms(self) -> tuple[Form, ...]:
        """The numbers."""
        return (Form("", "float32", self.size),)

    @property
    def list_delimiter(self) -> str:
        """Separates the numbers in text columns."""
        return self.delimiter

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """All numbers of a row."""
        return (self.size,)

    def faults(self, values: pa.Array) -> Iterator[tuple[str, np.ndarray]]:
        """Rows with another number of values."""
        lengths = value_lengths(values)
        bad = (lengths != 0) & (lengths != self.size)
        if bad.any():
            yield f"not {self.size} numbers", bad

    def summarize(self, column: pa.Array, hits: np.ndarray) -> ColumnSummary:
        """Counts rows alone: nothing is learned from the values."""
        return ColumnSummary.of(column, hits)

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Fills missing rows with zeros."""

        def encode(column: pa.Array) -> Arrays:
            numbers = self._numbers(column, 0.0)
            offsets = np.arange(len(column) + 1, dtype=np.int32) * self.size
            flat = pa.array(numbers.reshape(-1))
            return (pa.ListArray.from_arrays(pa.array(offsets), flat),)

        return encode

    def to_raw(self, values: pa.Array, missing: tuple[str, ...]) -> np.ndarray:
        """`[n, size]` float32: NaN where missing."""
        return self._numbers(values, np.nan)

    def to_example(self, value: Any) -> list:
        """All numbers; none where any is missing."""
        return [] if np.isnan(value).any() else value.tolist()

    def sample(
        self, random: np.random.Generator, shape: tuple[int, ...], learned: Learned
    ) -> np.ndarray:
        """Normal numbers; a few rows are missing."""
        values = random.normal(size=(*shape, self.size))
        values[random.random(shape) < UNSEEN_SHARE] = np.nan
        return values.astype(np.float32)

    def _numbers(self, column: pa.Array, absent: float) -> np.ndarray:
        numbers = np.full((len(column), self.size), absent, np.float32)
        whole = value_lengths(column) == self.size
        flat = column.filter(pa.array(whole)).flatten()
        numbers[whole] = flat.to_numpy(False).reshape(-1, self.size)
        return numbers
