"""WeightedList: what kinds share whose row holds a list of values with weights."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator
from typing_extensions import Self

from hgr_tf.features.column_summary import ColumnSummary, value_lengths
from hgr_tf.features.ids import as_lists
from hgr_tf.features.kind import Arrays, Form, Learned
from hgr_tf.features.text_list import TextList

NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""RE2 pattern of a weight."""


class WeightedList(TextList):
    """A list of values in one column, each with a weight: "news:0.5,sports:2".

    What follows the last `weight_delimiter` of a value is its weight; without one it
    is 1. A row with a weight that is no finite number is bad.

    Attributes:
        delimiter: Separates the values of a text column; columns of lists
            are taken as they are.
        max_length: Values past this many are dropped from an example.
        weight_delimiter: Separates a value from its weight.
    """

    FREE: ClassVar[frozenset[str]] = TextList.FREE | {"weight_delimiter"}

    dtype: Literal["string"] = "string"
    weight_delimiter: str = Field(":", min_length=1)

    @model_validator(mode="after")
    def _check_delimiters(self) -> Self:
        if self.delimiter in self.weight_delimiter:
            raise ValueError(
                "weight_delimiter must not hold the delimiter of the values, "
                f"{self.delimiter!r}, got {self.weight_delimiter!r}"
            )
        return self

    @property
    def forms(self) -> tuple[Form, ...]:
        """Ids and weights, padded with 0."""
        return (
            Form("", "int64", self.max_length, padded=True),
            Form("_weight", "float32", self.max_length, padded=True),
        )

    @property
    def pattern(self) -> str:
        """RE2 pattern of a value with a weight: these are its two groups."""
        return f"(?s)^(.*){re.escape(self.weight_delimiter)}(.*)$"

    @abstractmethod
    def ids_of(self, learned: Learned) -> Callable[[pa.Array], np.ndarray]:
        """Returns a function from `[n]` values to `[n]` int64 ids."""

    def faults(self, values: pa.Array) -> Iterator[tuple[str, np.ndarray]]:
        """Rows with a weight that is no finite number."""
        _, weights = self._split(values.flatten())
        rows = np.repeat(np.arange(len(values)), value_lengths(values))
        bad = np.zeros(len(values), bool)
        bad[rows[~np.isfinite(weights)]] = True
        if bad.any():
            yield "weights that are no finite numbers", bad

    def summarize(self, column: pa.Array, hits: np.ndarray) -> ColumnSummary:
        """As of the values without their weights."""
        values, _ = self._split(column.flatten())
        offsets = np.concatenate([[0], np.cumsum(value_lengths(column))])
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
        return super().summarize(lists, hits)

    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Encodes the values of each list, and takes their weights."""
        ids_of = self.ids_of(learned)

        def encode(lists: pa.Array) -> Arrays:
            values, weights = self._split(lists.flatten())
            ids = as_lists(ids_of(values), lists, self.max_length)
            return ids, as_lists(weights, lists, self.max_length)

        return encode

    def sample_tokens(
        self, random: np.random.Generator, size: int, learned: Learned
    ) -> list[str]:
        """Draws the values of one list, each with a weight."""
        weights = random.random(size).round(3).tolist()
        values = super().sample_tokens(random, size, learned)
        pairs = zip(values, weights, strict=True)
        return [f"{value}{self.weight_delimiter}{weight}" for value, weight in pairs]

    def _split(self, tokens: pa.Array) -> tuple[pa.Array, np.ndarray]:
        """Values, null where empty, and weights: NaN where one is no finite number."""
        values = pc.replace_substring_regex(tokens, self.pattern, r"\1")
        values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
        weighted = pc.match_substring_regex(tokens, self.pattern)
        texts = pc.replace_substring_regex(tokens, self.pattern, r"\2")
        texts = pc.if_else(weighted, texts, "1")
        texts = pc.if_else(pc.match_substring_regex(texts, NUMBER), texts, "nan")
        texts = pc.replace_substring_regex(texts, r"^\+", "")
        numbers = texts.cast(pa.float64()).to_numpy(False)
        with np.errstate(over="ignore"):
            return values, numbers.astype(np.float32)
