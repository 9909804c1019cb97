"""Codes of items ("semantic ids"), from the item embeddings of a finished run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import tensorflow as tf

from hgr_tf.codes.coded import Coded
from hgr_tf.features.vocabulary_kind import VocabularyKind
from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.training import Run


def item_codes(
    run: Run, num_levels: int = 3, codebook_size: int = 64, seed: int = 0
) -> Coded:
    """Quantizes the items of the vocabulary by residual k-means on their embeddings.

    The ranker was trained without these codes; items that it treats alike share
    prefixes.

    Args:
        run: A run whose ranker embeds the item's id in the layer
            "embedding_<feature>", as those of `hgr_tf.rankers` do.
        num_levels: Levels of the codes.
        codebook_size: Codewords of each level.
        seed: Of k-means.

    Returns:
        All items; `keys` are their ids in the encoded feature.

    Raises:
        ValueError: The item's id has no vocabulary, or the ranker no such layer.
    """
    encoding = run.encoding
    item = encoding.spec.id_feature("item")
    if item is None or not isinstance(item.transform, VocabularyKind):
        raise ValueError(
            "the spec must have a categorical item feature of the column "
            f"{encoding.spec.item_id!r} to name the items, got "
            f"{item and item.transform.type!r}"
        )
    layer = f"embedding_{encoding.spec.id_source(item.name)}"
    names = [layer.name for layer in run.model.ranker.layers]
    if layer not in names:
        raise ValueError(f"the ranker must have a layer {layer!r}, got {names}")
    first = encoding.first_vocabulary_id(item.name)
    table = tf.convert_to_tensor(run.model.ranker.get_layer(layer).embeddings)[first:]
    quantizer = ResidualVectorQuantizer(num_levels, codebook_size, seed=seed)
    codes = quantizer.fit(table).encode(table)
    distances = tf.norm(table - quantizer.decode(codes), axis=1)
    texts = pa.array(encoding.learned(item.name).vocabulary, pa.string())
    type_ = pa.int64() if item.transform.dtype == "int64" else pa.string()
    keys = np.arange(first, first + len(texts))
    return Coded(texts.cast(type_), keys, codes.numpy(), distances.numpy())


def collisions(codes: np.ndarray) -> int:
    """How many rows of `codes`, [n, levels], have those of an earlier row."""
    return len(codes) - len(np.unique(codes, axis=0))


def made_unique(codes: np.ndarray) -> np.ndarray:
    """Codes with one more level, which numbers the rows of equal codes from 0.

    Args:
        codes: int32 [n, levels].

    Returns:
        int32 [n, levels + 1], no row twice.
    """
    _, group = np.unique(codes, axis=0, return_inverse=True)
    group = group.ravel()  # some versions of numpy keep a second axis
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sizes = np.diff([*starts, len(group)])
    number = np.empty(len(group), np.int32)
    number[order] = np.arange(len(group)) - np.repeat(starts, sizes)
    return np.column_stack([codes, number])
