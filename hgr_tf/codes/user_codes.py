"""Codes of the users of a split, or of a table of users, by a finished run."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from hgr_tf.codes.coded import Coded
from hgr_tf.data import PreparedData
from hgr_tf.export.inputs.log_rows import read_rows
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.features import USER, Feature, FeatureEncoding
from hgr_tf.features.kind import MISSING
from hgr_tf.features.vocabulary_kind import VocabularyKind
from hgr_tf.models.ranker_halves import halves_of
from hgr_tf.pipelines.rows.fields import numbers_of_ids
from hgr_tf.training import Run

log = logging.getLogger(__name__)

_BATCH = 8192


def codes_of_split(
    run: Run, data: PreparedData, split: str, named: bool = True
) -> Iterator[Coded]:
    """Yields the users of a split with their codes, each user once.

    A user's code is that of the user's first row in the files: with histories, take
    a split in which each user has one past.

    Args:
        run: A run with a quantizer.
        data: The prepared data of the run.
        split: Name of the split.
        named: Whether to tell the raw ids; else the keys stand for them.

    Raises:
        ValueError: The run has no codes; or the raw ids cannot be told, since users
            are hashed texts.
    """
    coder = _Coder(run)
    raw_ids = _RawIds(run.encoding) if named else None
    seen: set[int] = set()
    with data.errors():
        for features, *_ in data.dataset(split, _BATCH):
            keys, first = np.unique(features[USER].numpy(), return_index=True)
            is_new = np.array([key not in seen for key in keys.tolist()])
            seen.update(keys.tolist())
            if not is_new.any():
                continue
            new = first[is_new]
            rows = {name: tf.gather(x, new) for name, x in features.items()}
            codes, distances = coder(rows)
            part = Coded(pa.array(keys[is_new]), keys[is_new], codes, distances)
            yield raw_ids.named(rows, part) if raw_ids else part
    if raw_ids and raw_ids.unknown:
        log.warning(
            "%d users of %r are not in the vocabulary of %r and share codes: they are "
            "left out",
            raw_ids.unknown,
            split,
            raw_ids.feature.name,
        )


def codes_of_table(run: Run, table: str | Path) -> Iterator[Coded]:
    """Yields the users of a table with their codes, row by row.

    Args:
        run: A run with a quantizer.
        table: A file of any format that logs have, with the user's features as
            requests to the served model have them. It may be larger than memory.

    Raises:
        ValueError: The run has no codes, or the table cannot be read, or a row of it.
    """
    coder, encoding = _Coder(run), run.encoding
    user = _user_feature(encoding)
    names = [feature.name for feature in encoding.spec.features("user")]
    folder = run.path / "encoding" / "vocabularies"
    encode = tf.function(RawFeatures(encoding, folder, names))
    for rows in read_rows(table, encoding.spec, owner="user"):
        faults = [(i, why) for i, why in enumerate(rows.errors) if why]
        if faults:
            raise ValueError(f"{table}: row {faults[0][0] + 1}: {faults[0][1]}")
        raw = rows.inputs[user.name]
        if (raw == MISSING[user.transform.dtype]).any():
            raise ValueError(f"{table}: {user.column!r} must not be missing, got none")
        for start in range(0, len(raw), _BATCH):
            part = {k: v[start : start + _BATCH] for k, v in rows.inputs.items()}
            ids = pa.array(part[user.name].tolist())
            keys = numbers_of_ids(ids)
            inputs = encode({k: _tensor(v) for k, v in part.items()})
            yield Coded(ids, keys, *coder(inputs))


class _Coder:
    """Embeds users with a run's ranker, and quantizes them with its quantizer."""

    def __init__(self, run: Run) -> None:
        quantizer = run.model.quantizer
        if quantizer is None:
            raise ValueError(
                f"{run.path}: `method` must quantize users, such as 'default', to have "
                f"codes, got {run.config.method.preset!r}"
            )
        if not quantizer.started.numpy():
            raise ValueError(
                f"{run.path}: the codebooks never started: train for more than "
                f"`start_epochs`, {run.config.method.start_epochs}"
            )
        self._quantizer = quantizer
        self._halves = halves_of(run.model.ranker, run.model.user_embedding)
        self._forms = run.encoding.spec.inputs()
        self._run = tf.function(self._codes)

    def __call__(
        self, inputs: Mapping[str, tf.Tensor]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Codes [n, levels] and distances [n] of users with these inputs."""
        rows = tf.shape(next(iter(inputs.values())))[0]
        others = {  # a user's embedding does not depend on them
            name: tf.zeros([rows, *form.shape], form.dtype)
            for name, form in self._forms.items()
            if name not in inputs
        }
        codes, distances = self._run({**inputs, **others})
        return codes.numpy(), distances.numpy()

    def _codes(self, inputs: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        embeddings = tf.cast(self._halves.embed_users(inputs), tf.float32)
        codes = self._quantizer.encode(embeddings)
        left = embeddings - self._quantizer.decode(codes)
        return codes, tf.norm(left, axis=1)


class _RawIds:
    """The raw ids of the users of prepared rows."""

    def __init__(self, encoding: FeatureEncoding) -> None:
        self.feature = _user_feature(encoding)
        self.unknown = 0
        self._vocabulary: pa.Array | None = None
        kind = self.feature.transform
        if kind.dtype == "int64":
            return
        if not isinstance(kind, VocabularyKind):
            raise ValueError(
                f"the users are hashed texts ({self.feature.name!r}), which prepared "
                "data does not hold: give a table of users"
            )
        self._first = kind.first_vocabulary_id
        self._vocabulary = pa.array(
            encoding.learned(self.feature.name).vocabulary, pa.string()
        )

    def named(self, rows: Mapping[str, tf.Tensor], coded: Coded) -> Coded:
        """The users whose raw id is known, with it."""
        if self._vocabulary is None:
            return coded
        places = rows[self.feature.name].numpy() - self._first
        known = places >= 0
        self.unknown += int((~known).sum())
        ids = self._vocabulary.take(pa.array(places[known]))
        return Coded(ids, *(column[known] for column in coded[1:]))


def _user_feature(encoding: FeatureEncoding) -> Feature:
    user = encoding.spec.id_feature("user")
    if user is None:
        raise ValueError(
            f"the spec must have a feature of the user id {encoding.spec.user_id!r}"
        )
    return user


def _tensor(values: np.ndarray) -> tf.Tensor:
    return tf.constant(values.tolist() if values.dtype == object else values)
