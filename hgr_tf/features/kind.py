"""Kind: what a kind of feature says about itself, all in one class.

The kinds are files of `hgr_tf/features/kinds/`. What TensorFlow does with a kind, in
the serving graph and in a ranker, is in the file of the same name in
`hgr_tf/feature_graphs/kinds/`: the pipeline's workers have no TensorFlow, so one file
could only hold both halves behind imports inside functions, which no check of the
imports between the rooms could tell from mistakes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hgr_tf.features.column_summary import ColumnSummary
from hgr_tf.features.strict_model import Strict

Dtype = Literal["string", "int64", "float32"]
Arrays = tuple[pa.Array, ...]

MISSING = {
    "string": "",
    "int64": int(np.iinfo(np.int64).min),
    "float32": float("nan"),
}
"""Stands for "no value" in a raw tensor of each dtype."""

UNSEEN_SHARE = 0.05
"""Share of the values of `Kind.sample` that training never saw, or that are missing."""

_T = TypeVar("_T")
_NUMPY: dict[str, Any] = {"string": object, "int64": np.int64, "float32": np.float32}


class Form(NamedTuple):
    """One tensor that a model sees of a feature.

    Attributes:
        suffix: Follows the feature's name in the tensor's name; "" for the first.
        dtype: Data type of the tensor.
        size: None for one value per row, else the length of the row's list.
        padded: Whether lists may be stored shorter; readers pad them with 0.
    """

    suffix: str
    dtype: Literal["int64", "float32"]
    size: int | None = None
    padded: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a row's tensor: () or (size,)."""
        return () if self.size is None else (self.size,)


class Learned(NamedTuple):
    """What the training data told about one feature; None where nothing was asked.

    Attributes:
        vocabulary: Values as text, in the order of their ids.
        boundaries: Ascending boundaries.
        moments: Mean and standard deviation.
        unseen: For each value of the vocabulary, in how many prepared folders in a row
            the training rows lacked it.
    """

    vocabulary: tuple[str, ...] | None = None
    boundaries: tuple[float, ...] | None = None
    moments: tuple[float, float] | None = None
    unseen: tuple[int, ...] | None = None


def needed(value: _T | None, name: str) -> _T:
    """Returns what was learned of a feature; raises `ValueError` where nothing was."""
    if value is None:
        raise ValueError(f"{name} must be learned before the feature is encoded")
    return value


class Kind(Strict):
    """A kind of feature: its fields are its section of the spec.

    A subclass defines the field `type`, equal to the name of its file, and `dtype`,
    the type of a raw value, as a field or a property. The rest is below: what is
    read, learned, encoded and sent, with defaults for a single value per row.

    Attributes:
        FREE: Fields that may change without changing what an id means.
        column: Source column; the feature's name by default.
    """

    FREE: ClassVar[frozenset[str]] = frozenset({"column"})

    column: str | None = None

    if TYPE_CHECKING:
        type: str

        @property
        def dtype(self) -> Dtype:
            """Type of a raw value."""

    # What is read, and what the model sees.

    @property
    @abstractmethod
    def forms(self) -> tuple[Form, ...]:
        """The tensors that the model sees."""

    @property
    def list_delimiter(self) -> str | None:
        """Separates a list's values in text columns; None for one value per row."""
        return None

    @property
    def id_source(self) -> str | None:
        """Feature whose ids and embedding table this one shares; None for its own."""
        return None

    @property
    def parts(self) -> tuple[str, ...]:
        """Features whose raw values this one is made of; none for one of a column."""
        return ()

    @property
    def is_categorical(self) -> bool:
        """Whether the model sees ids (int64) rather than float32s."""
        return self.forms[0].dtype == "int64"

    @property
    def is_multivalued(self) -> bool:
        """Whether an example holds a list of any length."""
        return self.forms[0].padded

    def combine(self, values: Sequence[pa.Array]) -> pa.Array:
        """Makes `[n]` typed values of those of the `parts`, if there are any."""
        raise NotImplementedError(f"{self.type} is made of no other features")

    def faults(self, values: pa.Array) -> Iterator[tuple[str, np.ndarray]]:
        """Yields what makes typed values bad: a reason, and a mask of the rows.

        Args:
            values: `[n]` values or lists of `dtype`, null where missing.
        """
        yield from ()

    # What is learned.

    def summarize(self, column: pa.Array, hits: np.ndarray) -> ColumnSummary:
        """Summarizes `[n]` typed values, each of which counts `hits` times."""
        return ColumnSummary.of(column, hits).with_counts(column, hits)

    def learn(self, summary: ColumnSummary, before: Learned) -> Learned:
        """Returns what the training rows tell, beside what was learned `before`."""
        return Learned()

    def lacks(self, learned: Learned) -> str | None:
        """Names what is needed to encode and was not learned; None if all is there."""
        return None

    def num_ids(self, learned: Learned) -> int | None:
        """Number of ids, "missing" (0) included; None where the model sees floats."""
        return None

    @property
    def id_space(self) -> tuple | None:
        """Equal for two features whose ids can mean the same; None for no ids."""
        return None

    def report(self, summary: ColumnSummary, learned: Learned) -> dict:
        """Returns what statistics.json tells beside counts of rows and ids."""
        return {}

    # How it is encoded, in the pipeline.

    @abstractmethod
    def encoder(self, learned: Learned) -> Callable[[pa.Array], Arrays]:
        """Returns a function from `[n]` typed values to an array for each form."""

    # What a serving request holds: raw tensors.

    @property
    def raw_dtype(self) -> Dtype:
        """Type of the raw tensor."""
        return self.dtype

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """Shape of the raw tensor behind the batch: () or (size,)."""
        return ()

    def to_raw(self, values: pa.Array, missing: tuple[str, ...]) -> np.ndarray:
        """Turns typed values into the raw tensor `[n, *raw_shape]` of a request.

        Args:
            values: `[n]` values or lists of `dtype`.
            missing: Texts that mean "missing" beside "".
        """
        filled = pc.fill_null(values, MISSING[self.dtype])
        return filled.to_numpy(zero_copy_only=False).astype(_NUMPY[self.dtype])

    def unsendable(self, values: pa.Array) -> Iterator[tuple[int, str]]:
        """Yields rows that `to_raw` would alter, and why."""
        yield from ()

    def to_example(self, value: Any) -> list:
        """Returns the values in a tf.Example of one raw value; [] where missing."""
        if value != value or value == MISSING[self.dtype]:
            return []
        return [value]

    def sample(
        self, random: np.random.Generator, shape: tuple[int, ...], learned: Learned
    ) -> np.ndarray:
        """Draws raw values `[*shape, *raw_shape]` that the encoding makes sense of."""
        texts = np.array(sample_texts(random, int(np.prod(shape)), learned), object)
        if self.dtype == "int64":
            return texts.astype(np.int64).reshape(shape)
        texts[random.random(len(texts)) < UNSEEN_SHARE] = ""
        return texts.reshape(shape)


def sample_texts(random: np.random.Generator, size: int, learned: Learned) -> list[str]:
    """Draws values of the vocabulary, and a few that are in none."""
    drawn = random.choice(np.array(learned.vocabulary or ("0",), object), size)
    unseen = random.random(size) < UNSEEN_SHARE
    drawn[unseen] = [str(n) for n in random.integers(2**40, size=unseen.sum())]
    return drawn.tolist()


def sample_numbers(
    random: np.random.Generator, shape: tuple[int, ...], mean: float, deviation: float
) -> np.ndarray:
    """Draws float32s, a few of which are missing (NaN)."""
    values = random.normal(mean, deviation, shape)
    values[random.random(shape) < UNSEEN_SHARE] = np.nan
    return values.astype(np.float32)
