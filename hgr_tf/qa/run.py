"""QARun: a question answering run's model, made from its config or loaded."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from hgr_tf.qa.config import QAConfig
from hgr_tf.qa.encoders import CONFIG, build_encoder, encoder_folder
from hgr_tf.qa.multi_span_reader import MultiSpanReader
from hgr_tf.qa.tokenization import FILE, OffsetTokenizer
from hgr_tf.training.run_folder import RunError, RunFolder

ENCODER = "encoder"
"""Folder within a run's that keeps the encoder's sizes and its tokenizer."""


@dataclass(frozen=True)
class QARun:
    """A finished question answering run.

    Attributes:
        path: Its folder.
        config: What it was trained by.
        tokenizer: Makes tokens of questions and texts.
        reader: The trained model.
        metrics: Scores of the validation file, as `hgr_tf.qa.score` gives them.
    """

    path: Path
    config: QAConfig
    tokenizer: OffsetTokenizer
    reader: MultiSpanReader
    metrics: dict[str, float]


def qa_folder(path: str | Path) -> RunFolder:
    """The folder of a question answering run."""
    return RunFolder(path, QAConfig)


def load_qa_run(path: str | Path) -> QARun:
    """Loads a run folder.

    Raises:
        RunError: The folder holds no run, one that is not finished, or one of the other
            generation of Keras.
        ConfigError: The run is not one of question answering.
    """
    folder = qa_folder(path)
    config = folder.config()
    if not folder.is_finished:
        raise RunError(f"{path}: not finished: `hgr-tf qa train` resumes it")
    folder.check_environment()
    kept = folder.path / ENCODER
    reader = build_reader(config, kept, pretrained=False)
    reader.load_weights(str(folder.weights))
    tokenizer = OffsetTokenizer.load(kept)
    return QARun(folder.path, config, tokenizer, reader, folder.metrics())


def keep_encoder(config: QAConfig, path: Path) -> Path:
    """Copies the encoder's sizes and tokenizer into a run, so that it is whole.

    Returns:
        The encoder's own folder, which has its weights.
    """
    source = encoder_folder(config.encoder.folder)
    kept = path / ENCODER
    kept.mkdir(exist_ok=True)
    for name in (CONFIG, FILE):
        if not (source / name).is_file():
            raise ValueError(f"{source}: no {name} there")
        shutil.copyfile(source / name, kept / name)
    return source


def build_reader(
    config: QAConfig, folder: Path, *, pretrained: bool
) -> MultiSpanReader:
    """Makes the reader of a config, with all its variables.

    Args:
        config: Config of the run; its seed decides the initial weights.
        folder: Folder of the encoder.
        pretrained: Whether the encoder's weights are loaded.
    """
    tf.keras.utils.set_random_seed(config.seed)
    encoder = build_encoder(
        folder, pretrained=pretrained, dropout=config.encoder.dropout
    )
    weights = {f"{name}_loss": w for name, w in config.loss.model_dump().items()}
    reader = MultiSpanReader(encoder, config.tagging, config.dropout, weights)
    names = ("token_ids", "segment_ids", "padding_mask", "context_mask")
    reader({name: np.ones((1, 2), np.int32) for name in names})
    return reader
