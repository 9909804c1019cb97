"""VocabularyKind: what the kinds share whose ids are places in a vocabulary."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hgr_tf.features.column_summary import ColumnSummary
from hgr_tf.features.ids import vocabulary_ids
from hgr_tf.features.kind import Kind, Learned

_ARROW = {"string": pa.string(), "int64": pa.int64()}


class VocabularyKind(Kind):
    """Values looked up in a vocabulary.

    Ids: 0 missing, 1..oov_buckets unknown values by hash, then the vocabulary
    by falling frequency in the training data.

    Attributes:
        dtype: Type of the raw value, "string" or "int64".
        min_count: Values seen less often in training are unknown.
        max_size: Keep at most this many values, the most frequent ones.
        oov_buckets: Number of ids shared by the unknown values.
        shares: Feature whose ids and embedding table these values share, such as the
            item id for the last item that was seen. Its column alone is what the
            vocabulary is learned from.
    """

    FREE: ClassVar[frozenset[str]] = Kind.FREE | {"min_count", "max_size"}

    type: str
    dtype: Literal["string", "int64"] = "string"
    min_count: int = Field(1, ge=1)
    max_size: int | None = Field(None, ge=1)
    oov_buckets: int = Field(1, ge=1)
    shares: str | None = None

    @property
    def id_source(self) -> str | None:
        """The feature that `shares` names."""
        return self.shares

    @property
    def first_vocabulary_id(self) -> int:
        """Id of the vocabulary's first value: past missing and unknown."""
        return 1 + self.oov_buckets

    def learn(self, summary: ColumnSummary, before: Learned) -> Learned:
        """Known values first, then those of the data by falling count and text.

        Where ids may be evicted, how long values were unseen is counted anew.
        """
        if self.shares:
            return Learned()
        known = before.vocabulary or ()
        new = self._new_values(summary, known)
        values = (*known, *new[: self._room(len(known))])
        ages = None if before.unseen is None else (0,) * len(values)
        return Learned(vocabulary=values, unseen=ages)

    def learn_reusing(
        self, summary: ColumnSummary, before: Learned, evict_after: int
    ) -> Learned:
        """New values take the places of known ones that were not seen for long.

        A value is evicted only where a new one needs its place, the longest unseen
        first; the most frequent new value takes the first place that is free. Others
        are appended, as `learn` does.

        Args:
            summary: What was seen of the feature in the training rows.
            before: The vocabulary to go on with, and how long its values were unseen.
            evict_after: Prepared folders in a row, this one included, whose training
                rows must lack a value before it is evicted.
        """
        if self.shares:
            return Learned()
        values = list(before.vocabulary or ())
        ages = np.zeros(len(values), np.int64)
        if values:
            ages += np.array(before.unseen or ages) + 1
            ages[summary.counts_of(tuple(values)) > 0] = 0
        new = self._new_values(summary, tuple(values))
        old = np.flatnonzero(ages >= evict_after)
        free = old[np.argsort(-ages[old], kind="stable")][: len(new)]
        for place, value in zip(free.tolist(), new, strict=False):
            values[place], ages[place] = value, 0
        appended = new[len(free) :][: self._room(len(values))]
        return Learned(
            vocabulary=(*values, *appended),
            unseen=(*ages.tolist(), *[0] * len(appended)),
        )

    def _room(self, known: int) -> int | None:
        """How many values may be appended to so many; None for any number."""
        return None if self.max_size is None else max(0, self.max_size - known)

    def _new_values(self, summary: ColumnSummary, known: tuple[str, ...]) -> list[str]:
        """Values of the data that are not known, by falling count and text."""
        ranked = summary.ranked_counts()
        enough = ranked.filter(pc.greater_equal(ranked["count"], self.min_count))
        # A line of a vocabulary file cannot hold these.
        texts = enough["text"].filter(
            pc.invert(pc.match_substring_regex(enough["text"], r"[\r\n]"))
        )
        if known:
            is_known = pc.is_in(texts, pa.array(known, pa.string()))
            texts = texts.filter(pc.invert(is_known))
        return texts.to_pylist()

    def lacks(self, learned: Learned) -> str | None:
        """A vocabulary, which may be empty."""
        return "vocabulary" if learned.vocabulary is None else None

    def num_ids(self, learned: Learned) -> int:
        """Missing, the buckets of unknown values, and the vocabulary."""
        return self.first_vocabulary_id + len(learned.vocabulary or ())

    @property
    def id_space(self) -> tuple[str, str, int]:
        """Ids mean the same with an equal vocabulary and equal buckets."""
        return ("vocabulary", self.dtype, self.oov_buckets)

    def report(self, summary: ColumnSummary, learned: Learned) -> dict:
        """Distinct values, the share of unknown ones, the most frequent ones."""
        return summary.report_values(learned.vocabulary or ())

    def lookup(self, learned: Learned) -> Callable[[pa.Array], np.ndarray]:
        """Returns a function from `[n]` values to `[n]` int64 ids."""
        vocabulary = pa.array(learned.vocabulary, pa.string()).cast(_ARROW[self.dtype])
        first = self.first_vocabulary_id
        return lambda column: vocabulary_ids(column, vocabulary, first)
