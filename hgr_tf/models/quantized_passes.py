"""The passes of a ranker in training: with user embeddings, and with their codes."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from hgr_tf.compat import under_xla
from hgr_tf.functional.graph import Inputs
from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.models.objective import Objective
from hgr_tf.models.ranker_halves import Halves, Output, rank_each
from hgr_tf.models.user_codes import UserCodes


class Passes(NamedTuple):
    """What a ranker and its quantizer make of a batch.

    Attributes:
        first: The ranker's output.
        second: Its output with quantized user embeddings; None without that pass.
        codes: The codes of the users.
    """

    first: Output
    second: Output | None
    codes: UserCodes


def run_passes(
    halves: Halves,
    objective: Objective,
    quantizer: ResidualVectorQuantizer,
    inputs: Inputs,
    distinct_users: tf.Tensor | None,
) -> Passes:
    """Embeds and quantizes the users of a batch, and ranks it once or twice.

    Args:
        halves: The ranker in two.
        objective: How the quantized embeddings are seen.
        quantizer: The objective's.
        inputs: A batch.
        distinct_users: int [batch], to quantize each user once; None for each row.
    """
    embeddings = halves.embed_users(inputs, training=True)
    build_quantizer(quantizer, embeddings.shape[-1])
    users = None if under_xla() else distinct_users
    codes = objective.quantize(embeddings, users, training=True)
    several = objective.embeddings_to_rank(embeddings, codes)
    # The first pass runs last: its activity regularization is what is kept.
    *second, first = rank_each(halves, inputs, several, training=True)
    return Passes(first, second[0] if second else None, codes)


def build_quantizer(quantizer: ResidualVectorQuantizer, dim: int) -> None:
    """Makes the variables of a quantizer that has none, for embeddings of a width."""
    if not quantizer.built:
        # Out of a step's graph, for the replicas to share the variables.
        with tf.init_scope():
            quantizer.build((None, dim))
