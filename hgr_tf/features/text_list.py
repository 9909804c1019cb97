"""TextList: what every kind shares whose row holds a list of values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hgr_tf.features.kind import Dtype, Kind, Learned, sample_texts


class TextList(Kind):
    """A list of values in one column; text with a delimiter in a request.

    Attributes:
        delimiter: Separates the values of a text column; columns of lists
            are taken as they are.
        max_length: Values past this many are dropped from an example.
    """

    FREE: ClassVar[frozenset[str]] = Kind.FREE | {"delimiter", "max_length"}

    delimiter: str = Field(",", min_length=1)
    max_length: int = Field(20, ge=1)

    @property
    def list_delimiter(self) -> str:
        """Separates a list's values in text columns."""
        return self.delimiter

    @property
    def raw_dtype(self) -> Dtype:
        """Text that holds the values with the delimiter between them."""
        return "string"

    def to_raw(self, values: pa.Array, missing: tuple[str, ...]) -> np.ndarray:
        """`[n]` texts: the values of each row, joined."""
        lists = [tokens or () for tokens in values.to_pylist()]
        texts = [_joined(tokens, self.delimiter, missing) for tokens in lists]
        return np.array(texts, object)

    def unsendable(self, values: pa.Array) -> Iterator[tuple[int, str]]:
        """Rows whose list would be split elsewhere once it is joined."""
        flat = values.flatten().cast(pa.string())
        bad = pc.match_substring(flat, self.delimiter).fill_null(False)
        rows = pc.list_parent_indices(values).filter(bad).to_pylist()
        for row, token in zip(rows, flat.filter(bad).to_pylist(), strict=True):
            yield (
                row,
                "a value of a list must not hold the delimiter "
                f"{self.delimiter!r}, got {token!r}",
            )

    def to_example(self, value: Any) -> list:
        """The values of the text, each by itself."""
        texts = [text for text in value.split(self.delimiter) if text]
        return [int(t) for t in texts] if self.dtype == "int64" else texts

    def sample(
        self, random: np.random.Generator, shape: tuple[int, ...], learned: Learned
    ) -> np.ndarray:
        """Joined lists of random lengths below `max_length`."""
        texts = [
            self.delimiter.join(self.sample_tokens(random, int(length), learned))
            for length in random.integers(0, self.max_length, shape).flat
        ]
        return np.array(texts, object).reshape(shape)

    def sample_tokens(
        self, random: np.random.Generator, size: int, learned: Learned
    ) -> list[str]:
        """Draws the values of one list."""
        return sample_texts(random, size, learned)


def _joined(
    tokens: Sequence[str | int], delimiter: str, missing: tuple[str, ...]
) -> str:
    text = delimiter.join(map(str, tokens))
    while tokens and text in missing:  # an empty value at its end changes no list
        text += delimiter
    return text
