"""FeatureEncoding: what the pipeline learned from data to encode features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from hgr_tf.features.kind import Learned
from hgr_tf.features.spec import FeatureSpec
from hgr_tf.features.training_only import as_column
from hgr_tf.features.vocabulary_kind import VocabularyKind

_T = TypeVar("_T")
_UNSEEN = ".unseen.txt"

MISSING = "(missing)"
"""What people are shown for a value that is not there."""

UNKNOWN = "(unknown)"
"""What people are shown for a value that the vocabulary lacks."""


@dataclass(frozen=True)
class FeatureEncoding:
    """A spec with the vocabularies, boundaries and moments of its data.

    It fixes the map from raw values to what the model sees: int64 ids
    (0 is always "missing") or float32s. On disk it is a folder:

        spec.yaml
        encoding.json                     boundaries and moments
        vocabularies/<feature>.txt        a value per line, in the order of ids
        vocabularies/<feature>.unseen.txt a number per line: how long it was unseen;
                                          where ids may be evicted

    Attributes:
        spec: The feature spec.
        vocabularies: Values of each feature whose kind learns a vocabulary, as
            text, in id order.
        boundaries: Ascending boundaries of each feature whose kind learns them.
        moments: (mean, standard deviation) of each feature whose kind learns
            them.
        unseen: Where ids may be evicted, in how many prepared folders in a row
            training lacked each value of a vocabulary. What ids mean does not depend
            on it.

    Raises:
        ValueError: A feature lacks what its kind encodes with.
    """

    spec: FeatureSpec
    vocabularies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    boundaries: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    moments: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unseen: Mapping[str, tuple[int, ...]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for feature in self.spec.features():
            lacking = feature.transform.lacks(self.learned(feature.name))
            if lacking:
                raise ValueError(f"feature {feature.name!r} has no {lacking}")
        for name, ages in self.unseen.items():
            values = len(self.vocabularies.get(name, ()))
            if len(ages) != values:
                raise ValueError(
                    f"`unseen` of {name!r} must have a number for each of its {values} "
                    f"values, got {len(ages)}"
                )

    @classmethod
    def of(cls, spec: FeatureSpec, learned: Mapping[str, Learned]) -> FeatureEncoding:
        """Makes an encoding of what was learned of each feature, by name."""
        return cls(
            spec,
            _told({name: each.vocabulary for name, each in learned.items()}),
            _told({name: each.boundaries for name, each in learned.items()}),
            _told({name: each.moments for name, each in learned.items()}),
            _told({name: each.unseen for name, each in learned.items()}),
        )

    def learned(self, name: str) -> Learned:
        """What was learned of a feature, or of the one whose ids it shares."""
        name = self.spec.id_source(name)
        return Learned(
            self.vocabularies.get(name),
            self.boundaries.get(name),
            self.moments.get(name),
            self.unseen.get(name),
        )

    def num_ids(self, name: str) -> int:
        """Number of ids of a feature, "missing" (0) included.

        Raises:
            ValueError: The feature is numeric.
        """
        ids = self.spec.feature(name).transform.num_ids(self.learned(name))
        if ids is None:
            raise ValueError(f"feature {name!r} is numeric and has no ids")
        return ids

    def first_vocabulary_id(self, name: str) -> int:
        """Id of a vocabulary's first value: past missing and unknown.

        Raises:
            ValueError: The feature has no vocabulary of its own.
        """
        kind = self.spec.feature(name).transform
        if not isinstance(kind, VocabularyKind):
            raise ValueError(f"feature {name!r} is {kind.type} and has no vocabulary")
        return kind.first_vocabulary_id

    def reused_ids(self, name: str, before: FeatureEncoding) -> np.ndarray:
        """`[n]` int64 ids that stand for another value than in an earlier encoding.

        A value that was evicted and came back may have another id than it had.

        Raises:
            ValueError: The vocabulary did not come from that one: it is shorter, or
                ids are other values' though its ids may not be evicted.
        """
        old, new = before.vocabularies[name], self.vocabularies.get(name, ())
        must = f"the vocabulary of {name!r} must begin with the {len(old):,} values of"
        if len(new) < len(old):
            raise ValueError(f"{must} the earlier one, but has {len(new):,} alone")
        changed = [i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b]
        first = self.first_vocabulary_id(name)
        if changed and name not in self.unseen:
            at = changed[0]
            raise ValueError(
                f"{must} the earlier one, but the id {at + first} is {new[at]!r} there "
                f"instead of {old[at]!r}, and no id of it may be evicted"
            )
        return np.array(changed, np.int64) + first

    @property
    def known_users(self) -> str | None:
        """The feature whose vocabulary holds the ids of the users of training.

        None where no feature with a vocabulary of its own is made of the user's id.
        """
        feature = self.spec.id_feature("user")
        if feature is None or feature.name not in self.vocabularies:
            return None
        return feature.name

    def value_of(self, name: str, number: int) -> str | None:
        """The raw value that an id of a feature stands for, as text.

        Args:
            name: A feature with ids.
            number: One of its ids.

        Returns:
            A value of the vocabulary, `MISSING` or `UNKNOWN`; None where the feature
            has no vocabulary.
        """
        source = self.spec.feature(self.spec.id_source(name)).transform
        vocabulary = self.learned(name).vocabulary
        if not isinstance(source, VocabularyKind) or vocabulary is None:
            return None
        if number == 0:
            return MISSING
        place = number - source.first_vocabulary_id
        return UNKNOWN if place < 0 else vocabulary[place]

    def constant_of(self, name: str) -> int | float | None:
        """What a model sees of a feature of `training_only` when it does not train.

        Args:
            name: Name of the feature.

        Returns:
            An id or a number; None where the spec has no value for it.

        Raises:
            ValueError: Training knows no such value.
        """
        constant = self.spec.training_only[name]
        if constant is None:
            return None
        kind = self.spec.feature(name).transform
        encode = kind.encoder(self.learned(name))
        (column,) = encode(as_column(constant, kind))
        (number,) = column.to_pylist()
        if kind.is_categorical and self.value_of(name, number) in (MISSING, UNKNOWN):
            raise ValueError(
                f"training_only.{name} must be a value that the training data holds, "
                f"got {constant!r}"
            )
        return number

    def save(self, folder: str | Path) -> None:
        """Writes the encoding into `folder`, which is made if needed."""
        folder = Path(folder)
        (folder / "vocabularies").mkdir(parents=True, exist_ok=True)
        (folder / "spec.yaml").write_text(self.spec.to_yaml(), encoding="utf-8")
        for name, values in self.vocabularies.items():
            text = "".join(f"{value}\n" for value in values)
            path = folder / "vocabularies" / f"{name}.txt"
            path.write_text(text, encoding="utf-8", newline="")
        for name, ages in self.unseen.items():
            path = folder / "vocabularies" / f"{name}{_UNSEEN}"
            np.savetxt(path, np.array(ages, np.int64), fmt="%d")
        learned = {
            "boundaries": {k: list(v) for k, v in sorted(self.boundaries.items())},
            "moments": {k: list(v) for k, v in sorted(self.moments.items())},
        }
        text = json.dumps(learned, indent=1) + "\n"
        (folder / "encoding.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> FeatureEncoding:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: A file of the encoding is absent.
        """
        folder = Path(folder)
        spec = FeatureSpec.load(folder / "spec.yaml")
        learned = json.loads((folder / "encoding.json").read_text(encoding="utf-8"))
        return cls(
            spec=spec,
            vocabularies={
                f.name: _read_lines(folder / "vocabularies" / f"{f.name}.txt")
                for f in spec.given_features()
                if f.transform.lacks(Learned()) == "vocabulary"
                and f.transform.id_source is None
            },
            boundaries={k: tuple(v) for k, v in learned["boundaries"].items()},
            moments={k: tuple(v) for k, v in learned["moments"].items()},
            unseen={
                path.name.removesuffix(_UNSEEN): tuple(
                    map(int, path.read_text(encoding="utf-8").split())
                )
                for path in sorted((folder / "vocabularies").glob(f"*{_UNSEEN}"))
            },
        )

    def float32_boundaries(self, name: str) -> np.ndarray:
        """Boundaries as the float32 values that raw numbers are compared to."""
        return np.asarray(self.boundaries[name], np.float32)


def _told(values: Mapping[str, _T | None]) -> dict[str, _T]:
    return {name: value for name, value in values.items() if value is not None}


def _read_lines(path: Path) -> tuple[str, ...]:
    # Not splitlines(): it also splits at characters that values may hold.
    return tuple(path.read_bytes().decode("utf-8").split("\n")[:-1])
