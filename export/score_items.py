"""Cuts a functional ranker where the request's part meets the items' part."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping

import tensorflow as tf

from hgr_tf.export.ranker import Outputs
from hgr_tf.functional.graph import input_tensors, is_functional, output_of
from hgr_tf.functional.shared_part import SharedPart


def score_items(
    ranker: tf.keras.Model, shared: Collection[str]
) -> Callable[[Mapping[str, tf.Tensor], Mapping[str, tf.Tensor], tf.Tensor], Outputs]:
    """Returns a function that scores N items for each of B requests.

    What depends on the `shared` inputs only runs once a request; its outputs
    are repeated N times where the rest of the ranker, which runs on B * N rows,
    needs them. See `hgr_tf.functional.shared_part.SharedPart`.

    Args:
        ranker: Model over a dict of inputs, giving [rows, 1], or a dict of these by
            head. One that is not functional cannot be cut: its requests' inputs are
            repeated.
        shared: Names of the inputs that a request has once.

    Returns:
        f(requests, items, n): encoded features [B, ...] of the requests and
        [B * N, ...] of their items, a request's items together; n is the
        scalar N. Gives what the ranker gives, of B * N rows.
    """
    if not is_functional(ranker):
        return functools.partial(_score_repeated, ranker)
    inputs = input_tensors(ranker)
    shared_inputs = {k: v for k, v in inputs.items() if k in shared}
    item_inputs = {k: v for k, v in inputs.items() if k not in shared}
    part = SharedPart(output_of(ranker), inside=shared_inputs.values(), repeated=True)

    def score(
        requests: Mapping[str, tf.Tensor], items: Mapping[str, tf.Tensor], n: tf.Tensor
    ) -> Outputs:
        values = part.run({id(v): requests[k] for k, v in shared_inputs.items()})
        known = {id(v): items[k] for k, v in item_inputs.items()}
        return part.run_rest(values, known, n=n)

    return score


def _score_repeated(
    ranker: tf.keras.Model,
    requests: Mapping[str, tf.Tensor],
    items: Mapping[str, tf.Tensor],
    n: tf.Tensor,
) -> Outputs:
    repeated = {name: tf.repeat(tensor, n, axis=0) for name, tensor in requests.items()}
    return ranker({**repeated, **items}, training=False)
