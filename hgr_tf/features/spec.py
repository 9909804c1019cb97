"""FeatureSpec: what the columns of a log mean, in one YAML file.

The pipeline, the model and the export all follow it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from typing_extensions import Self

from hgr_tf.features.histories import LABEL_KEY, Counter, History
from hgr_tf.features.history_list import HistoryList
from hgr_tf.features.keys import LABEL, WEIGHT, label_key, weight_key
from hgr_tf.features.kind import Form
from hgr_tf.features.labels import NAME, Label, NegativeSampling, check_labels
from hgr_tf.features.log_files import Format, Table
from hgr_tf.features.parts import check_parts
from hgr_tf.features.past import check_past, past_features, request_columns
from hgr_tf.features.shared_ids import check_shared_ids
from hgr_tf.features.splits import Split, TimeSplit, TimeUnit
from hgr_tf.features.strict_model import SpecError, Strict, describe
from hgr_tf.features.training_only import Constant, check_training_only
from hgr_tf.features.transform import Transform

Owner = Literal["user", "item", "context"]

TableOwner = Literal["user", "item"]
"""Whose features a table beside the log may hold."""


class Feature(Strict):
    """One feature of the spec, resolved: name, owner, source and transform.

    Attributes:
        is_past: Whether it is made of earlier rows: of a history or a counter. Its
            column is then its own name, which no log needs to have.
    """

    name: str
    owner: Owner
    column: str
    from_table: bool
    transform: Transform | HistoryList
    is_past: bool = False

    @property
    def inputs(self) -> dict[str, Form]:
        """The tensors that a model sees of it, by name."""
        return {f"{self.name}{form.suffix}": form for form in self.transform.forms}

    @property
    def reads(self) -> tuple[str, ...]:
        """Features whose raw values it is encoded from: itself, or its parts."""
        return self.transform.parts or (self.name,)


class FeatureSpec(Strict):
    """What the columns of a log mean.

    Attributes:
        name: A name for people.
        user_id: Column of the log that identifies the user.
        item_id: Column of the log that identifies the item.
        label: Column name, or a `Label`. With `labels`, the first of them.
        labels: Several labels by name, in place of `label`.
        weight: Column of sample weights, if any.
        time: Column of event times, if any.
        user: User features by name.
        item: Item features by name.
        context: Context features by name; always from the log.
        tables: Tables of user and item features. With a table, the features
            of its owner come from it, but for the id column itself.
        missing_values: Texts that mean "missing", beside null and "".
        time_unit: Time unit of the time column, when it counts from 1970 (UTC). Allows
            dates in `split` and statistics by day.
        format: Format of the log's files.
        split: How rows are split, when the inputs are not given by split.
        overlap: Equal rows in two splits: "count" them, "fail", or "ignore".
        duplicates: Equal rows within a split: "keep", "count" or "drop" all
            but the first. Rows are equal when every column that the spec
            names is.
        negatives: Sampling of negatives, if any.
        history: Lists of what a row's user did before the row, by name.
        counters: Counts of earlier rows that share a key with a row, by name.
        order: Column that orders each user's rows within a split, for logs without
            `time`: a sequence number. An input without it is one moment.
        training_only: Features that only training knows, such as the position of an
            item on the page, each with the raw value that stands for it otherwise;
            with null it counts for nothing then. No request holds them.

    Example:
        >>> spec = FeatureSpec.from_yaml('''
        ... name: tiny
        ... user_id: user
        ... item_id: item
        ... label: click
        ... user: {user: {type: categorical}}
        ... item: {item: {type: categorical}, price: {type: numeric}}
        ... ''')
        >>> [f.name for f in spec.features()]
        ['user', 'item', 'price']
    """

    name: str
    user_id: str
    item_id: str
    label: Label
    labels: dict[str, Label] = Field(default_factory=dict)
    weight: str | None = None
    time: str | None = None
    user: dict[str, Transform] = Field(min_length=1)
    item: dict[str, Transform] = Field(min_length=1)
    context: dict[str, Transform] = Field(default_factory=dict)
    tables: dict[TableOwner, Table] = Field(default_factory=dict)
    missing_values: tuple[str, ...] = ()
    time_unit: TimeUnit | None = None
    format: Format = Format()
    split: Split | None = None
    overlap: Literal["count", "fail", "ignore"] = "count"
    duplicates: Literal["keep", "count", "drop"] = "keep"
    negatives: NegativeSampling | None = None
    history: dict[str, History] = Field(default_factory=dict)
    counters: dict[str, Counter] = Field(default_factory=dict)
    order: str | None = None
    training_only: dict[str, Constant] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _one_or_several_labels(cls, data: object) -> object:
        if not isinstance(data, dict) or "labels" not in data:
            return data
        if "label" in data:
            raise ValueError("give either `label` or `labels`, got both")
        if not data["labels"]:
            raise ValueError(
                f"`labels` must name a label at least, got {data['labels']!r}"
            )
        # Stands for the first of the labels until these are checked.
        return {**data, "label": Label(column="")}

    @model_validator(mode="after")
    def _first_label(self) -> Self:
        if self.labels:
            self.__dict__["label"] = next(iter(self.labels.values()))
        return self

    @model_serializer(mode="wrap")
    def _label_or_labels(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        absent = ["label" if self.labels else "labels"]
        absent += [] if self.training_only else ["training_only"]
        return {name: value for name, value in dump(self).items() if name not in absent}

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        check_past(self)
        check_labels(self)
        check_shared_ids(self)
        check_parts(self)
        check_training_only(self)
        names = [feature.name for feature in self.features()]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"feature names must differ, seen twice: {twice}")
        bad = [n for n in names if not re.fullmatch(NAME, n)]
        if bad:
            raise ValueError(
                "a feature's name must be letters, digits and '_', from a letter on, "
                f"since it names an input of the served model; got {bad}: name it "
                f"{_safe(bad[0])!r} and give it `column: {bad[0]!r}`"
            )
        return self

    @model_validator(mode="after")
    def _check_time(self) -> Self:
        if isinstance(self.split, TimeSplit):
            if self.time is None:
                raise ValueError("split by time needs `time`, the column to go by")
            self.split.cuts(self.time_unit)
        return self

    def features(self, owner: Owner | None = None) -> Iterator[Feature]:
        """Yields the features: user, item, context, then those of earlier rows."""
        yield from self._declared_features(owner)
        for of, name, transform in past_features(self):
            if owner in (None, of):
                yield Feature(
                    name=name,
                    owner=of,
                    column=name,
                    from_table=False,
                    transform=transform,
                    is_past=True,
                )

    def given_features(self, owner: Owner | None = None) -> Iterator[Feature]:
        """Yields the features whose values a log or table gives, in order."""
        declared = self._declared_features(owner)
        return (f for f in declared if not f.transform.parts)

    def request_features(self, owner: Owner | None = None) -> Iterator[Feature]:
        """Yields the features whose values a request holds: all not made of others."""
        return (f for f in self.served_features(owner) if not f.transform.parts)

    def served_features(self, owner: Owner | None = None) -> Iterator[Feature]:
        """Yields the features that a model sees when it serves as in training."""
        return (f for f in self.features(owner) if f.name not in self.training_only)

    def _declared_features(self, owner: Owner | None) -> Iterator[Feature]:
        for section in ("user", "item", "context"):
            if owner not in (None, section):
                continue
            for name, transform in getattr(self, section).items():
                column = transform.column or name
                yield Feature(
                    name=name,
                    owner=section,
                    column=column,
                    from_table=section in self.tables
                    and not transform.parts
                    and column != self._id_column(section),
                    transform=transform,
                )

    def inputs(self, owner: Owner | None = None) -> dict[str, Form]:
        """The tensors that a model sees, by name, in the order of the features."""
        return {k: v for f in self.features(owner) for k, v in f.inputs.items()}

    def feature(self, name: str) -> Feature:
        """Returns the feature called `name`, or raises `KeyError`."""
        for feature in itertools.chain(self.given_features(), self.features()):
            if feature.name == name:
                return feature
        raise KeyError(f"no feature {name!r} in spec {self.name!r}")

    def id_source(self, name: str) -> str:
        """Name of the feature whose ids and embedding table a feature has."""
        while (source := self.feature(name).transform.id_source) is not None:
            name = source
        return name

    def id_feature(self, owner: TableOwner) -> Feature | None:
        """The categorical feature made of the owner's id column, if any."""
        for feature in self.given_features(owner):
            same = feature.column == self._id_column(owner) and not feature.from_table
            if same and feature.transform.id_space is not None:
                return feature
        return None

    def id_dtype(self, owner: TableOwner) -> Literal["string", "int64"]:
        """Type of the owner's id: that of the feature made of it, else text."""
        for feature in self.given_features(owner):
            if feature.column == self._id_column(owner) and not feature.from_table:
                return "int64" if feature.transform.dtype == "int64" else "string"
        return "string"

    @property
    def all_labels(self) -> dict[str, Label]:
        """The labels by name; the only one of a spec with `label` is "label"."""
        return self.labels or {LABEL_KEY: self.label}

    def label_name(self, name: str) -> str | None:
        """The name in `all_labels`, "label" being the first; None if there is none."""
        if name in self.all_labels:
            return name
        return next(iter(self.labels)) if name == LABEL_KEY else None

    def label_of(self, name: str) -> Label:
        """Returns the label of a name that `label_name` knows."""
        return self.all_labels[self.label_name(name) or name]

    def label_keys(self) -> dict[str, Label]:
        """The labels by their keys in an example, in the order of the spec."""
        if not self.labels:
            return {LABEL: self.label}
        return {label_key(name): label for name, label in self.labels.items()}

    def weight_keys(self) -> dict[str, str | None]:
        """Columns of the weights by their keys in an example, the row's first.

        None stands for weights that come from the sampling of negatives alone.
        """
        of_row = {WEIGHT: self.weight} if self.weight or self.negatives else {}
        return of_row | {
            weight_key(name): label.weight
            for name, label in self.labels.items()
            if label.weight
        }

    def log_columns(self) -> list[str]:
        """Columns the log must have, each once."""
        columns = [self.user_id, self.item_id]
        columns += [label.column for label in self.label_keys().values()]
        columns += [c for c in (*self.weight_keys().values(), self.time) if c]
        columns += [f.column for f in self.given_features() if not f.from_table]
        columns += request_columns(self)
        return list(dict.fromkeys(columns))

    def optional_columns(self) -> list[str]:
        """Columns of the log that an input may lack, each once."""
        return [self.order] if self.order else []

    def table_columns(self, owner: TableOwner) -> list[str]:
        """Columns the owner's table must have: its key and its features'."""
        columns = [f.column for f in self.given_features(owner) if f.from_table]
        return list(dict.fromkeys([self.tables[owner].key, *columns]))

    def digest(self) -> str:
        """SHA-256 of the canonical JSON form; equal for equal specs."""
        data = self.model_dump(mode="json", by_alias=True)
        if self.labels:  # which of them is the first matters
            data["labels"] = list(data["labels"].items())
        text = json.dumps(data, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def from_yaml(cls, text: str, source: str = "spec") -> FeatureSpec:
        """Parses YAML text.

        Raises:
            SpecError: Names every field that is wrong, what it must be and
                what came.
        """
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SpecError(f"{source}: not YAML: {error}") from error
        if not isinstance(data, dict):
            raise SpecError(f"{source}: expected a mapping, got {data!r:.80}")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise SpecError(f"{source}: {describe(error, cls)}") from error

    def to_yaml(self) -> str:
        """YAML text that `from_yaml` reads back to an equal spec."""
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        # Escaped: YAML would take some characters, left as they are, for others.
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=False)

    @classmethod
    def load(cls, path: str | Path) -> FeatureSpec:
        """Reads a YAML file; errors name the file."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise SpecError(f"{path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SpecError(f"{path}: expected UTF-8 text, got {error}") from error
        return cls.from_yaml(text, source=str(path))

    def _id_column(self, owner: Owner) -> str | None:
        return {"user": self.user_id, "item": self.item_id}.get(owner)


def _safe(name: str) -> str:
    """A name that may be that of a feature, close to one that may not."""
    name = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_") or "feature"
    return name if name[0].isalpha() else f"f_{name}"
