"""Transforms: how the raw values of a column become ids or a number."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, model_validator

from hgr_tf.features.strict_model import Strict

Dtype = Literal["string", "int64", "float32"]

_LARGEST = 3.4e38  # about what float32 holds


class _Column(Strict):
    column: str | None = None

    @property
    def is_categorical(self) -> bool:
        """Whether the model sees ids (int64) rather than a float32."""
        return True

    @property
    def is_multivalued(self) -> bool:
        """Whether an example holds a list of ids."""
        return False


class Categorical(_Column):
    """One value looked up in a vocabulary.

    Ids: 0 missing, 1..oov_buckets unknown values by hash, then the vocabulary
    by falling frequency in the training data.

    Attributes:
        dtype: Type of the raw value, "string" or "int64".
        min_count: Values seen less often in training are unknown.
        max_size: Keep at most this many values, the most frequent ones.
        oov_buckets: Number of ids shared by the unknown values.
    """

    type: Literal["categorical"] = "categorical"
    dtype: Literal["string", "int64"] = "string"
    min_count: int = Field(1, ge=1)
    max_size: int | None = Field(None, ge=1)
    oov_buckets: int = Field(1, ge=1)


class MultiCategorical(Categorical):
    """A list of values in one column, each looked up in one vocabulary.

    Attributes:
        delimiter: Separates the values of a text column; list columns
            (Parquet, Avro, JSON) are taken as they are.
        max_length: Values past this many are dropped from an example.
    """

    type: Literal["multi_categorical"] = "multi_categorical"
    delimiter: str = Field(",", min_length=1)
    max_length: int = Field(20, ge=1)

    @property
    def is_multivalued(self) -> bool:
        """Whether an example holds a list of ids: yes."""
        return True


class Hashed(_Column):
    """One value hashed to `num_buckets` ids, without a vocabulary.

    Ids: 0 missing, then 1 + FarmHash64(text of the value) mod num_buckets.
    """

    type: Literal["hashed"] = "hashed"
    dtype: Literal["string", "int64"] = "string"
    num_buckets: int = Field(ge=1)


class Bucketized(_Column):
    """A number turned into the id of its bucket.

    Ids: 0 missing, then 1 + number of boundaries at or below the value.

    Attributes:
        num_buckets: Quantile buckets of the training data; or
        boundaries: Ascending boundaries, given.
    """

    type: Literal["bucketized"] = "bucketized"
    num_buckets: int | None = Field(None, ge=2)
    boundaries: tuple[FiniteFloat, ...] | None = None

    @property
    def dtype(self) -> Dtype:
        """Type of the raw value."""
        return "float32"

    @model_validator(mode="after")
    def _check_boundaries(self):
        if (self.num_buckets is None) == (self.boundaries is None):
            raise ValueError("give either num_buckets or boundaries")
        if self.boundaries is not None:
            pairs = zip(self.boundaries, self.boundaries[1:], strict=False)
            if not self.boundaries or any(a >= b for a, b in pairs):
                raise ValueError(f"boundaries must ascend, got {self.boundaries}")
        return self


class Numeric(_Column):
    """A number the model sees as float32.

    x <- default where missing; x <- sign(x) log(1 + |x|) with `log1p`;
    x <- (x - mean) / std with `standardize`, of the training data so far
    transformed.
    """

    type: Literal["numeric"] = "numeric"
    default: FiniteFloat = Field(0.0, ge=-_LARGEST, le=_LARGEST)
    log1p: bool = False
    standardize: bool = True

    @property
    def dtype(self) -> Dtype:
        """Type of the raw value."""
        return "float32"

    @property
    def is_categorical(self) -> bool:
        """Whether the model sees ids: no, a float32."""
        return False


Transform = Annotated[
    Categorical | MultiCategorical | Hashed | Bucketized | Numeric,
    Field(discriminator="type"),
]
