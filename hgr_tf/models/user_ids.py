"""The user ids among a model's inputs."""

from __future__ import annotations

import tensorflow as tf

from hgr_tf.functional.graph import Inputs


def find_user_ids(inputs: Inputs, key: str, needed: bool) -> tf.Tensor | None:
    """The entry `key` of a model's inputs, int [batch].

    Args:
        inputs: What the model is given; only a dict has user ids.
        key: Key of the inputs that holds them.
        needed: Whether something cannot do without them.

    Returns:
        The user ids; None where there are none, nor a need for them.

    Raises:
        ValueError: They are needed, and missing or not integers.
    """
    users = inputs.get(key) if isinstance(inputs, dict) else None
    if not needed:
        return users
    if users is None:
        is_dict = isinstance(inputs, dict)
        found = sorted(inputs) if is_dict else type(inputs).__name__
        raise ValueError(
            f"inputs must be a dict with {key!r} (`user_id`), as metrics by user "
            f"and lists of users need the ids of the users, got {found}"
        )
    if not tf.as_dtype(users.dtype).is_integer:
        raise ValueError(
            f"inputs[{key!r}] (`user_id`) must be integers, got "
            f"{tf.as_dtype(users.dtype).name}; a StringLookup or Hashing layer in "
            "the dataset's `map` makes them"
        )
    return users
