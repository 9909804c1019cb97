"""Sections of the spec on what came before a row: histories and counters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, FiniteFloat, model_validator
from typing_extensions import Self

from hgr_tf.features.durations import Duration
from hgr_tf.features.splits import TRAIN
from hgr_tf.features.strict_model import Strict

ROW, DAY, SPLIT = "row", "day", "split"
"""Moments that a row's past may end at; any other name is a column of requests."""

LABEL_KEY = "label"
"""Stands for the target in `where`: that of the first label, if there are several."""

Value = str | int | float | bool
"""A value that `where` allows."""


def _as_tuple(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


_Values = Annotated[tuple[Value, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class AsOf(Strict):
    """The moment at which the past of a row ends.

    Attributes:
        as_of: "row", the row's own time; "day", the start of its day (UTC); "split",
            the start of its split; or a column of the log: the start of the user's
            request, whose rows share a value of it. Or one of these for each split,
            by name. The default is "row" for "train" and, where splits follow each
            other in time, "split" for the others: one snapshot for each user.
        delay: How much earlier than that the past ends: the age of what serving
            knows.
        label_delay: How long after a row its label is known.
    """

    as_of: str | dict[str, str] | None = None
    delay: Duration = 0
    label_delay: Duration = 0

    def moment(self, split: str, splits_follow: bool = True) -> str:
        """The moment that counts for rows of a split.

        Args:
            split: Name of the split.
            splits_follow: Whether the splits lie one after another in time.
        """
        if isinstance(self.as_of, str):
            return self.as_of
        default = SPLIT if splits_follow and split != TRAIN else ROW
        return (self.as_of or {}).get(split, default)

    @property
    def moments(self) -> tuple[str, ...]:
        """Every moment that the spec names."""
        if self.as_of is None:
            return ()
        given = [self.as_of] if isinstance(self.as_of, str) else self.as_of.values()
        return tuple(dict.fromkeys(given))


class History(AsOf):
    """The last events of a row's user before the row.

    Consecutive rows of a user with one item are one event: the first of them that
    `where` allows. A row never sees the event that it is part of itself.

    Attributes:
        of: Feature whose values are listed, the item's id as a rule.
        with_: More features of the events, listed beside; `with` in YAML.
        where: Values that a feature must have in an event; "label" is the target, as
            is the name of one of several labels, which must be defined there. A list
            of values allows each of them.
        by: Column of the user id.
        length: Events kept, the newest ones.
        newest_first: Whether lists start at the newest event. Padding always lies
            at the end of the oldest ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    of: str
    with_: tuple[str, ...] = Field((), alias="with")
    where: dict[str, _Values] = Field(default_factory=dict)
    by: str | None = None
    length: int = Field(20, ge=1, le=10_000)
    newest_first: bool = True

    @property
    def listed(self) -> tuple[str, ...]:
        """The features whose values are listed."""
        return (self.of, *self.with_)

    @model_validator(mode="after")
    def _check_listed(self) -> Self:
        if len(set(self.listed)) < len(self.listed):
            raise ValueError(f"features must differ, got {list(self.listed)}")
        return self


Statistic = Literal["exposures", "positives", "rate"]


class Counter(AsOf):
    """Counts of the rows before a row that share a key with it.

    exposures = earlier rows, where consecutive rows of one user and item are one;
    positives = those with a target above 0; both become log(1 + x). And
    rate = (positives + strength * prior) / (labelled exposures + strength).
    Of a label that is `given` another, only the rows where it is defined are exposures.

    Attributes:
        by: Feature, or user or item id, that rows must share; or a pair of them. Rows
            share the bucket of a "bucketized" feature, whose boundaries must be given.
        of: What is counted: the label, or one of several by its name.
        windows: "all", or how far back from the end of the past rows count.
        statistics: Which of the three become features.
        prior: The rate of a key without exposures; best about that of the log.
        strength: How many exposures the prior counts for.
    """

    by: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        min_length=1, max_length=2
    )
    of: str = LABEL_KEY
    windows: tuple[Literal["all"] | Duration, ...] = Field(("all",), min_length=1)
    statistics: tuple[Statistic, ...] = Field(("exposures", "rate"), min_length=1)
    prior: FiniteFloat = Field(0.0, ge=0, le=1)
    strength: FiniteFloat = Field(10.0, gt=0)

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        for name in ("by", "windows", "statistics"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name} must differ, got {list(values)}")
        return self
