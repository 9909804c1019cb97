"""A finished run with prepared data to ask it of."""

from __future__ import annotations

from pathlib import Path

from hgr_tf.data import PreparedData
from hgr_tf.training.run import Run, load_run


def load_run_and_data(
    run: str | Path, data: str | Path | None = None, *, shrunk: bool = False
) -> tuple[Run, PreparedData]:
    """Loads a run, and prepared data of the same encoding.

    Args:
        run: Folder of a finished run.
        data: Folder of the data; by default that of the training.
        shrunk: Whether tables are shrunk as `hgr-tf shrink` said.

    Raises:
        ValueError: The folders hold something else, or the data is encoded otherwise.
    """
    loaded = load_run(run, shrunk=shrunk)
    return loaded, load_data_of(loaded, data)


def untrained_split(
    loaded: Run, split: str | None, data: str | Path | None = None
) -> str:
    """A split of rows that a run was not trained on; by default that of validation.

    Args:
        loaded: The run.
        split: Name of the split.
        data: Folder of the data, if it is not that of the training.

    Raises:
        ValueError: The run was trained on it.
    """
    split = split or loaded.config.data.validation
    if split == loaded.config.data.train and data is None:
        raise ValueError(
            f"--split must be one that the run was not trained on, got {split!r}"
        )
    return split


def load_data_of(loaded: Run, data: str | Path | None = None) -> PreparedData:
    """Loads prepared data of the encoding of a run; see `load_run_and_data`."""
    if data is None:
        data = Path(loaded.config.data.path or "")
        if not data.is_dir():
            raise ValueError(
                f"{data}: no such folder here, where the run was trained on it: "
                "say where it is with --data"
            )
    prepared = PreparedData.load(data, spec=loaded.encoding.spec)
    prepared.check_encoding(loaded.encoding)
    return prepared
