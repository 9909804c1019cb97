"""Weights in the Hugging Face layout for Keras's BERT and RoBERTa encoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf

WEIGHTS = "model.safetensors"
"""Name of the file of weights."""

_POSITIONS_BEFORE = {"bert": 0, "roberta": 2}
"""Rows of the table of positions that RoBERTa keeps for padding."""


def assign_weights(encoder: tf.keras.Model, folder: str | Path, style: str) -> None:
    """Puts model.safetensors of a folder into an encoder of the same sizes.

    Args:
        encoder: KerasHub's (or KerasNLP's) `BertBackbone` or `RobertaBackbone`.
        folder: Holds the file.
        style: "bert" or "roberta".

    Raises:
        ImportError: safetensors is not installed.
        ValueError: There is no such file, it lacks a weight, or one is of another
            size.
    """
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise ValueError(
            f"{folder}: no {WEIGHTS} there; `pretrained: false` starts at random"
        )
    weights = _Weights(path)
    embeddings = encoder if style == "bert" else encoder.get_layer("embeddings")
    tables = {"word_embeddings": "token_embedding"}
    tables["position_embeddings"] = "position_embedding"
    if style == "bert":
        tables["token_type_embeddings"] = "segment_embedding"
    for source, name in tables.items():
        layer = _part(embeddings, name)
        skipped = _POSITIONS_BEFORE[style] if source == "position_embeddings" else 0
        weights.assign(layer.weights[0], f"embeddings.{source}.weight", skipped)
    weights.assign_norm(encoder.get_layer("embeddings_layer_norm"), "embeddings")
    for index in range(encoder.num_layers):
        block = encoder.get_layer(f"transformer_layer_{index}")
        _assign_block(weights, block, f"encoder.layer.{index}")
    if style == "bert" and weights.has("pooler.dense.weight"):
        weights.assign_dense(encoder.get_layer("pooled_dense"), "pooler.dense")


def _assign_block(weights: _Weights, block: Any, prefix: str) -> None:
    attention = block._self_attention_layer
    for name in ("query", "key", "value"):
        dense = getattr(attention, f"_{name}_dense")
        weights.assign_dense(dense, f"{prefix}.attention.self.{name}")
    weights.assign_dense(attention._output_dense, f"{prefix}.attention.output.dense")
    weights.assign_norm(block._self_attention_layer_norm, f"{prefix}.attention.output")
    weights.assign_dense(
        block._feedforward_intermediate_dense, f"{prefix}.intermediate.dense"
    )
    weights.assign_dense(block._feedforward_output_dense, f"{prefix}.output.dense")
    weights.assign_norm(block._feedforward_layer_norm, f"{prefix}.output")


def _part(owner: Any, name: str) -> Any:
    return getattr(owner, name) if hasattr(owner, name) else owner.get_layer(name)


class _Weights:
    """The tensors of a file, by names without the model's prefix."""

    def __init__(self, path: Path):
        try:
            from safetensors.numpy import load_file
        except ImportError as error:
            raise ImportError(
                "pretrained weights need safetensors: `pip install '.[qa]'` in "
                "hgr_tf's clone"
            ) from error
        self._path = path
        self._tensors = {
            name.removeprefix("bert.").removeprefix("roberta."): tensor
            for name, tensor in load_file(str(path)).items()
        }

    def has(self, name: str) -> bool:
        return name in self._tensors

    def assign(self, variable: Any, name: str, skipped: int = 0) -> None:
        value = self._get(name)[skipped:]
        if tuple(variable.shape) != value.shape:
            self._refuse(name, variable, value)
        variable.assign(value)

    def assign_dense(self, layer: Any, name: str) -> None:
        """PyTorch's kernels are transposed, and have no axis of heads."""
        for variable, part in ((layer.kernel, "weight"), (layer.bias, "bias")):
            value = self._get(f"{name}.{part}").T
            if np.prod(variable.shape) != value.size:
                self._refuse(f"{name}.{part}", variable, value)
            variable.assign(value.reshape(variable.shape))

    def assign_norm(self, layer: Any, prefix: str) -> None:
        """Old files call scale and offset gamma and beta."""
        for variable, new, old in (
            (layer.gamma, "weight", "gamma"),
            (layer.beta, "bias", "beta"),
        ):
            name = f"{prefix}.LayerNorm.{new}"
            self.assign(
                variable, name if self.has(name) else f"{prefix}.LayerNorm.{old}"
            )

    def _get(self, name: str) -> np.ndarray:
        if name not in self._tensors:
            raise ValueError(f"{self._path}: must hold the weight {name!r}")
        return np.asarray(self._tensors[name], np.float32)

    def _refuse(self, name: str, variable: Any, value: np.ndarray) -> NoReturn:
        raise ValueError(
            f"{self._path}: {name!r} must fill a weight of shape "
            f"{list(variable.shape)}, got {list(value.shape)}"
        )
