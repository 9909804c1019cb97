"""Shrinkage: embeddings of ids with few rows, pulled toward the mean after training."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from pydantic import Field, FiniteFloat, ValidationError
from typing_extensions import Self

from hgr_tf.data import PreparedData
from hgr_tf.features import FeatureEncoding
from hgr_tf.features.strict_model import Strict, describe
from hgr_tf.rankers.embedded_features import table_name
from hgr_tf.result_files import write_arrays, write_text
from hgr_tf.training.config import RunConfig
from hgr_tf.training.run_folder import RunFolder

FILE_NAME = "shrinkage.json"
COUNTS = "shrinkage_counts.npz"


class ShrinkageError(ValueError):
    """A shrinkage that cannot be used; the message says why."""


class TableShrinkage(Strict):
    """How strongly a feature's table is shrunk, and what that does.

    Attributes:
        tau: An id of n training rows keeps n / (n + tau) of its embedding; 0 keeps all.
        tried: LogLoss, summed over the heads, of each tau on the rows that chose.
        split: Name of the split that these rows, and those that measure, are of.
        seed: Seed of the halves.
        halves: Whether "users" or "rows" were dealt to the two halves.
        before: Figures of each head without it, on the rows that did not choose; the
            head of a single output has no name.
        after: Figures with it, on the same rows.
    """

    tau: float = Field(ge=0, allow_inf_nan=False)
    tried: dict[float, FiniteFloat]
    split: str
    seed: int
    halves: Literal["users", "rows"]
    before: dict[str, dict[str, float | None]]
    after: dict[str, dict[str, float | None]]


class Shrinkage(Strict):
    """The file of a run that says which of its tables are shrunk.

    Attributes:
        format_version: Format version of the file.
        tables: What is shrunk, by name of the feature that a table is of.
    """

    format_version: Literal[1] = 1
    tables: dict[str, TableShrinkage] = Field(min_length=1)

    @property
    def taus(self) -> dict[str, float]:
        """The tau of each feature whose table it changes."""
        return {name: one.tau for name, one in self.tables.items() if one.tau}

    @property
    def in_words(self) -> str:
        """What it does, for people; "" if nothing."""
        return ", ".join(f"{name}: tau {tau:g}" for name, tau in self.taus.items())

    def save(self, folder: str | Path) -> None:
        """Writes the file into a run folder; it appears whole or not at all."""
        write_text(Path(folder) / FILE_NAME, self.model_dump_json(indent=1) + "\n")

    @classmethod
    def load(cls, folder: str | Path) -> Self | None:
        """Reads what `save` wrote.

        Returns:
            None where there is no file.

        Raises:
            ShrinkageError: The file holds something else.
        """
        path = Path(folder) / FILE_NAME
        if not path.exists():
            return None
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except ValidationError as error:
            raise ShrinkageError(f"{path}: {describe(error, cls)}") from error


def shrunk(
    table: np.ndarray, counts: np.ndarray, tau: float, first_value: int = 1
) -> np.ndarray:
    """A table whose rows are pulled toward their mean, the rarer the more.

    e <- n / (n + tau) e + tau / (n + tau) mean, where n is the count of the row's id
    and the mean is that of the rows of values that training saw, each counted once.
    Rows that training never saw, such as that of unknown values where it knew all,
    become the mean.

    Args:
        table: [ids, dim].
        counts: [ids] int, how often training saw each id.
        tau: At least 0, which changes nothing.
        first_value: The first id that stands for a value, rather than for missing or
            unknown ones: the mean is over rows from there on.

    Returns:
        [ids, dim] of the same dtype.
    """
    seen = table[first_value:][counts[first_value:] > 0]
    if tau == 0 or not len(seen):
        return table
    mean = seen.mean(axis=0, dtype=np.float64).astype(table.dtype)
    share = (counts / (counts + tau)).astype(table.dtype)[:, None]
    return share * table + (1 - share) * mean


def table_of(
    ranker: tf.keras.Model, encoding: FeatureEncoding, feature: str
) -> tf.keras.layers.Embedding:
    """The layer that holds the embeddings of a feature's ids.

    Raises:
        ValueError: It is no feature with ids of its own, or the ranker embeds it in no
            layer of the name that the rankers of this package give it.
    """
    spec = encoding.spec
    own = [
        f.name
        for f in spec.features()
        if f.transform.is_categorical and spec.id_source(f.name) == f.name
    ]
    if feature not in own:
        raise ValueError(
            f"the feature must be one with ids of its own, one of {own}, "
            f"got {feature!r}"
        )
    name, ids = table_name(spec.feature(feature), spec), encoding.num_ids(feature)
    layers = {layer.name: layer for layer in ranker.layers}
    layer = layers.get(name)
    if not isinstance(layer, tf.keras.layers.Embedding) or layer.input_dim != ids:
        raise ValueError(
            f"the ranker must have an Embedding {name!r} of the {ids:,} ids of "
            f"{feature!r}, got the layers {sorted(layers)}"
        )
    return layer


def first_value(encoding: FeatureEncoding, feature: str) -> int:
    """The first id of a feature that stands for a value."""
    known = feature in encoding.vocabularies
    return encoding.first_vocabulary_id(feature) if known else 1


def count_ids(data: PreparedData, split: str, feature: str) -> np.ndarray:
    """[ids] int64: how often each id of a feature is in a split.

    The rows are what training saw: past the sampling of negatives, and with the ids of
    missing and unknown values, which the counts beside a vocabulary leave out.
    """
    counts = np.zeros(data.encoding.num_ids(feature), np.int64)
    name = next(iter(data.encoding.spec.feature(feature).inputs))
    with data.errors():
        for inputs, *_ in data.dataset(split, 1 << 16):
            ids = np.asarray(inputs[name])
            # A list is padded with 0.
            ids = ids[ids > 0] if ids.ndim > 1 else ids
            counts += np.bincount(ids, minlength=len(counts))
    return counts


def training_counts(
    run: str | Path, feature: str, data: str | Path | None = None
) -> np.ndarray:
    """[ids] int64: how often a run saw each id of a feature, and kept so in its folder.

    The rows of the runs that it began with count too: what they learned of an id is
    in its embedding. The folders of those runs are read alone.

    Args:
        run: The run folder.
        feature: Name of the feature.
        data: Where the run's prepared data is now, if it was moved.

    Raises:
        ValueError: Data that it, or a run that it began with, was trained on is not
            there any more.
    """
    path = Path(run) / COUNTS
    kept = _kept_counts(path)
    if feature not in kept:
        counts = _count_anew(RunFolder(run), feature, data)
        write_arrays(path, {**kept, feature: counts}, compress=True)
        return counts
    return kept[feature]


def _count_anew(
    run: RunFolder, feature: str, moved: str | Path | None = None
) -> np.ndarray:
    config: RunConfig = run.config()
    data = _trained_on(run, config, moved)
    encoding = FeatureEncoding.load(run.encoding)
    data.check_encoding(encoding)
    counts = count_ids(data, config.data.train, feature)
    if config.init_from is None or config.init_from.run is None:
        return counts
    before = RunFolder(config.init_from.run)
    earlier = _kept_counts(before.path / COUNTS).get(feature)
    if earlier is None:
        earlier = _count_anew(before, feature)
    if feature in encoding.vocabularies:
        earlier[encoding.reused_ids(feature, FeatureEncoding.load(before.encoding))] = 0
    counts[: len(earlier)] += earlier
    return counts


def _trained_on(
    run: RunFolder, config: RunConfig, moved: str | Path | None
) -> PreparedData:
    """The prepared data of a run's training, where it was or where it was moved to."""
    folder = Path(config.data.path or "")
    trained = f"the rows that {run.path} was trained on must be counted"
    if folder.is_dir():
        data = PreparedData.load(folder)
    elif moved is not None:
        data = PreparedData.load(moved)
    else:
        raise ShrinkageError(f"{folder}: no such folder, and {trained}")
    kept = run.data_digest()
    if kept is None and data.folder != folder:
        raise ShrinkageError(
            f"{folder}: no such folder, and {trained}: {run.path} has no data.json to "
            f"tell whether they are those in {moved}"
        )
    if kept is not None and kept != data.manifest_digest():
        missing = "" if data.folder == folder else f", and {folder} is missing"
        raise ShrinkageError(
            f"{data.folder}: holds other data than {run.path} was trained on{missing}; "
            f"{trained}"
        )
    return data


def shrink_tables(
    ranker: tf.keras.Model,
    encoding: FeatureEncoding,
    folder: str | Path,
    taus: Mapping[str, float],
) -> None:
    """Shrinks tables of a trained ranker in place, by the counts of its run folder.

    Args:
        ranker: The ranker, with the weights as they were trained.
        encoding: Its encoding.
        folder: The run folder.
        taus: The tau of each feature; other tables stay as they are.

    Raises:
        ShrinkageError: The counts are not there, or of other ids.
        ValueError: A feature has no table.
    """
    if not any(taus.values()):
        return
    path = Path(folder) / COUNTS
    kept = _kept_counts(path)
    for feature, tau in taus.items():
        layer = table_of(ranker, encoding, feature)
        counts = kept.get(feature)
        if counts is None or counts.shape != (layer.input_dim,):
            raise ShrinkageError(
                f"{path}: must hold the counts of the {layer.input_dim:,} ids of "
                f"{feature!r}: run `hgr-tf shrink --run {folder} --feature {feature}`"
            )
        assign_shrunk(layer, counts, tau, first_value(encoding, feature))


def assign_shrunk(
    layer: tf.keras.layers.Embedding, counts: np.ndarray, tau: float, first: int
) -> None:
    """Puts `shrunk` rows into an embedding layer; see there."""
    table = np.array(tf.convert_to_tensor(layer.embeddings))
    layer.embeddings.assign(shrunk(table, counts, tau, first))


def _kept_counts(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        with np.load(path) as arrays:
            return dict(arrays)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ShrinkageError(f"{path}: damaged ({error}): remove it") from error
