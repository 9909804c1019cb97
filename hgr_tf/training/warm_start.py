"""WarmStart: a run that begins where an earlier one, on earlier data, ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hgr_tf.compat import unscaled
from hgr_tf.feature_graphs.raw_values import UNKNOWN
from hgr_tf.features import FeatureEncoding
from hgr_tf.functional.graph import input_tensors, is_functional
from hgr_tf.result_files import write_arrays
from hgr_tf.training.config import InitFrom, NewRows
from hgr_tf.training.run import load_run
from hgr_tf.training.run_folder import RunError, RunFolder
from hgr_tf.training.shrinkage import table_of


class WarmStart:
    """What an earlier run learned, to be put into a new model of the same config.

    Vocabularies may have grown since (`hgr-tf prepare --encoding-from RUN/encoding
    --grow-vocabularies`): old ids keep their rows of every table and their slots in
    the optimizer, and new ids get rows as `new_rows` says. So do ids that were taken
    from values unseen for long (`--evict-after-days`), whose slots are cleared.

    Args:
        config: Which run, and what to take of it.
        encoding: Encoding of the new data.

    Raises:
        RunError: There is no such finished run, or it kept no optimizer.
        ValueError: The encoding is not that of the run, grown.

    Attributes:
        steps: Steps of the optimizer so far; 0 where it is not taken.
        reused: Ids of each feature that stand for other values than in the run.
    """

    def __init__(self, config: InitFrom, encoding: FeatureEncoding) -> None:
        if config.run is None:
            raise ValueError("`init_from.run` must be the folder of a run, got none")
        run = load_run(config.run)
        self.reused = _check_grown(run.encoding, encoding, run.path)
        self._encoding = encoding
        self._config = config
        self._tables: dict[int, np.ndarray] = {}
        self._ranker = _values(run.model.ranker.weights)
        self._quantizer = _values(_quantizer_weights(run.model, config.quantizer))
        self._slots: list[np.ndarray] = []
        self.steps = 0
        if config.optimizer:
            self._slots = load_slots(run.path)
            self.steps = int(self._slots[0])

    def init_model(self, model: tf.keras.Model) -> None:
        """Gives an untrained model the weights.

        Raises:
            ValueError: Its ranker or quantizer is of another form, or ids are reused
                whose table is not found.
        """
        new_rows = self._config.new_rows
        self._tables = {
            id(table_of(model.ranker, self._encoding, name).embeddings): ids
            for name, ids in self.reused.items()
            if _is_seen(model.ranker, self._encoding, name)
        }
        _assign(model.ranker.weights, self._ranker, "ranker", new_rows, self._tables)
        taken = _quantizer_weights(model, bool(self._quantizer))
        if taken:
            _assign(taken, self._quantizer, "quantizer", new_rows)

    def init_optimizer(
        self, optimizer: tf.keras.optimizers.Optimizer, weights: Sequence[Any]
    ) -> None:
        """Gives a built optimizer the slots of the old rows, and its step.

        Args:
            optimizer: The optimizer, built for the weights.
            weights: Trainable weights of the model, which averages of weights, if it
                keeps any, begin with: Keras 3 does so at step 0 alone.

        Raises:
            ValueError: It is another optimizer.
        """
        if not self._slots:
            return
        reused = {
            id(slot): self._tables[id(weight)]
            for slots in _slots_by_weight(optimizer, len(weights))
            for slot, weight in zip(slots, weights, strict=True)
            if id(weight) in self._tables
        }
        _assign(slots_of(optimizer), self._slots, "optimizer", "random", reused)
        for average, weight in zip(_averages(optimizer), weights, strict=False):
            average.assign(weight)


def _averages(optimizer: tf.keras.optimizers.Optimizer) -> list[Any]:
    return getattr(optimizer, "_model_variables_moving_average", None) or []


def _slots_by_weight(
    optimizer: tf.keras.optimizers.Optimizer, weights: int
) -> list[Sequence[Any]]:
    """The optimizer's lists of a slot for each weight, such as its first moments."""
    kept = vars(unscaled(optimizer)).values()
    return [one for one in kept if isinstance(one, list) and len(one) == weights]


def slots_of(optimizer: tf.keras.optimizers.Optimizer) -> list[Any]:
    """The optimizer's step and slots, without averages of weights and its rate."""
    left_out = {id(average) for average in _averages(optimizer)}
    return [
        variable
        for variable in optimizer.variables
        if id(variable) not in left_out and "learning_rate" not in variable.name
    ]


def save_slots(optimizer: tf.keras.optimizers.Optimizer, folder: RunFolder) -> None:
    """Leaves the optimizer's step and slots in a run folder."""
    values = _values(slots_of(optimizer))
    write_arrays(folder.optimizer, {str(i): value for i, value in enumerate(values)})


def load_slots(path: str | Path) -> list[np.ndarray]:
    """Reads what `save_slots` left.

    Raises:
        RunError: The run kept no optimizer.
    """
    file = RunFolder(path).optimizer
    if not file.exists():
        raise RunError(
            f"{path}: kept no optimizer: train it with `training.keep_optimizer: "
            "true`, or say `init_from.optimizer: false`"
        )
    with np.load(file) as arrays:
        return [arrays[str(i)] for i in range(len(arrays.files))]


def _check_grown(
    old: FeatureEncoding, new: FeatureEncoding, path: Path
) -> dict[str, np.ndarray]:
    """The ids of each feature that stand for other values than before.

    Raises:
        ValueError: An encoding did not grow from the other.
    """
    hint = f"prepare with --encoding-from {path}/encoding --grow-vocabularies"
    if _id_spaces(old) != _id_spaces(new):
        raise ValueError(
            "the spec's features, their order and what their ids mean must be those "
            f"of {path}: {hint}"
        )
    reused = {}
    for name in old.vocabularies:
        try:
            ids = new.reused_ids(name, old)
        except ValueError as error:
            raise ValueError(f"{path}: {error}: {hint}") from error
        if len(ids):
            reused[name] = ids
    for what in ("boundaries", "moments"):
        if getattr(old, what) != getattr(new, what):
            raise ValueError(f"the {what} must be those of {path}: {hint}")
    return reused


def _is_seen(ranker: tf.keras.Model, encoding: FeatureEncoding, name: str) -> bool:
    """Whether a ranker takes a feature, or one that shares its ids."""
    if not is_functional(ranker):
        return True
    spec, taken = encoding.spec, set(input_tensors(ranker))
    sharing = (f for f in spec.features() if spec.id_source(f.name) == name)
    return any(taken & set(feature.inputs) for feature in sharing)


def _id_spaces(encoding: FeatureEncoding) -> list[tuple[Any, ...]]:
    """What decides on the tables of a ranker, but for the vocabularies."""
    spec = encoding.spec
    return [
        (
            f.name,
            f.owner,
            f.transform.type,
            f.transform.id_space,
            spec.id_source(f.name),
        )
        for f in spec.features()
    ]


def _quantizer_weights(model: tf.keras.Model, wanted: bool) -> list[Any]:
    return model.quantizer.weights if wanted and model.quantizer is not None else []


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    return [np.array(tf.convert_to_tensor(variable)) for variable in variables]


def _assign(
    variables: Sequence[Any],
    values: Sequence[np.ndarray],
    what: str,
    new_rows: NewRows,
    reused: Mapping[int, np.ndarray] | None = None,
) -> None:
    """Assigns old values, and `new_rows` to rows that are new or `reused` by id()."""
    if len(variables) != len(values):
        raise ValueError(
            f"`init_from`: the {what} must have {len(values)} weights as in that run, "
            f"got {len(variables)}"
        )
    for variable, old in zip(variables, values, strict=True):
        new = np.array(tf.convert_to_tensor(variable))
        same = new.shape[1:] == old.shape[1:] and new.ndim == old.ndim
        if not same or new.shape[:1] < old.shape[:1]:
            raise ValueError(
                f"`init_from`: {variable.name} of the {what} must be of shape "
                f"{old.shape}, or have more rows, got {new.shape}"
            )
        ids = (reused or {}).get(id(variable))
        if new.shape == old.shape and ids is None:
            variable.assign(old)
            continue
        rows = np.concatenate([old, _rows(old, new[len(old) :], new_rows)])
        if ids is not None:
            rows[ids] = _rows(old, new[ids], new_rows)
        variable.assign(rows)


def _rows(old: np.ndarray, fresh: np.ndarray, how: NewRows) -> np.ndarray:
    """Rows of new ids, which are `fresh` ones unless the old table says otherwise."""
    if how == "random":
        return fresh
    row = old[UNKNOWN] if how == "unknown" else old[UNKNOWN:].mean(axis=0)
    return np.broadcast_to(row, fresh.shape).astype(fresh.dtype)
