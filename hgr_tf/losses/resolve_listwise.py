"""What `listwise=` takes -> the listwise loss that it stands for."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from hgr_tf.hints import did_you_mean
from hgr_tf.losses.keras_rs_adapter import KerasRsAdapter
from hgr_tf.losses.listwise_loss import ListwiseLoss, listwise_names, registered_loss
from hgr_tf.losses.tfr_adapter import TfrAdapter, tfr_loss

_ADAPTERS = (TfrAdapter, KerasRsAdapter)


def resolve_listwise(listwise: Any) -> ListwiseLoss:
    """Finds or adapts a listwise loss.

    Args:
        listwise: The name of a registered loss; a tensorflow-ranking key such as
            "approx_ndcg_loss"; an instance of a ragged Keras loss of
            tensorflow-ranking or, on Keras 3, of a ranking loss of keras-rs; or a
            `ListwiseLoss`, that is any callable of its arguments.

    Raises:
        ValueError: It is none of them, or takes several logits a sample.
        ImportError: A tensorflow-ranking key without tensorflow-ranking.
    """
    if isinstance(listwise, str):
        return registered_loss(listwise) or TfrAdapter(_by_key(listwise))
    for adapter in _ADAPTERS:
        if adapter.takes(listwise):
            return adapter(listwise)
    is_other_loss = isinstance(listwise, type | tf.keras.losses.Loss)
    if callable(listwise) and not is_other_loss:
        return listwise
    raise ValueError(_message(listwise))


def _by_key(name: str) -> tf.keras.losses.Loss:
    try:
        return tfr_loss(name)
    except ImportError as error:
        raise ImportError(f"{_message(name)}; {error}") from error
    except ValueError as error:
        raise ValueError(_message(name)) from error


def _message(listwise: object) -> str:
    is_name = isinstance(listwise, str)
    hint = did_you_mean(listwise, listwise_names()) if is_name else ""
    return (
        f"`listwise` must be one of {listwise_names()}, a tensorflow-ranking key, a "
        "ragged tensorflow-ranking loss, a keras-rs ranking loss (Keras 3) or a "
        f"callable `hgr_tf.losses.ListwiseLoss`, got {listwise!r}{hint}"
    )
