"""What a listwise loss is, and the names of those that are registered."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import tensorflow as tf

from hgr_tf.groups import NestedLists
from hgr_tf.registry import Registry

SharesOf = Callable[[Sequence[tf.Tensor]], Sequence[tf.Tensor]]
"""Target masses of the groups of each level -> the weight of a unit of them."""


@runtime_checkable
class ListwiseLoss(Protocol):
    """A listwise loss inside the groups of every level of a batch.

    A function, a Keras layer or any other object can be one: what it is called with
    is below, by keyword. `listwise_loss` registers it under a name and notes what
    it needs. To be saved with a model it must be known to Keras: decorate a
    function or a class with `tf.keras.utils.register_keras_serializable`; a class
    that is no layer also has `get_config` and `from_config`. A layer makes its
    variables in its constructor.

    Call arguments:
        lists: `hgr_tf.groups.NestedLists`: sums, maxima and minima over the
            groups of every level, and the weights of the samples.
        labels: float32 [batch], at least 0; 0 where the weight is 0.
        logits: float32 [batch]; they may be anything where the weight is 0.
        shares_of: Given the target mass of every group, a float32 [num_groups]
            for each level, deepest first, it returns in the same form what a unit
            of that mass counts for in the loss of the level: 0 in lists that do
            not count.

    Returns:
        A float32 scalar for each level, deepest first.

    Example:
        >>> @tf.keras.utils.register_keras_serializable("my")
        ... def squared_gap(lists, labels, logits, shares_of):
        ...     '''Squared distance of each positive from a logit of 1.'''
        ...     targets = lists.weigh(labels)
        ...     gaps = lists.sum(targets * (1.0 - lists.mask(logits, 0.0)) ** 2)
        ...     shares = shares_of(lists.sum(targets))
        ...     return [tf.reduce_sum(g * s) for g, s in zip(gaps, shares)]
        >>> loss = HierarchicalGroupwiseLoss(3, listwise=squared_gap)
    """

    def __call__(
        self,
        lists: NestedLists,
        labels: tf.Tensor,
        logits: tf.Tensor,
        shares_of: SharesOf,
    ) -> Sequence[tf.Tensor]:
        """Computes the loss of every level."""
        ...


Listwise: TypeAlias = str | ListwiseLoss | tf.keras.losses.Loss
"""A name, a loss of your own, or an instance of another package's loss."""


class Needs(NamedTuple):
    """What a listwise loss asks of those who call it.

    Attributes:
        clipped_labels: Whether graded labels are clipped to [0, 1] before lists
            of two classes are looked for.
        fixed_level_weights: Whether the loss may be negative, so that levels
            cannot be weighted by learned uncertainty.
    """

    clipped_labels: bool = False
    fixed_level_weights: bool = False


_REGISTERED: dict[str, ListwiseLoss] = {}
_Loss = TypeVar("_Loss")


def listwise_loss(
    name: str, *, clipped_labels: bool = False, fixed_level_weights: bool = False
) -> Callable[[_Loss], _Loss]:
    """Registers a listwise loss under a name that `listwise=` takes.

    It decorates a function, or a class whose constructor needs no argument: the name
    then stands for an instance of the defaults. The two options are those of `Needs`.

    Raises:
        ValueError: The name is taken by another loss.

    Example:
        >>> @listwise_loss("my_loss")
        ... def my_loss(lists, labels, logits, shares_of): ...
    """

    def register(loss: _Loss) -> _Loss:
        known = _REGISTERED.get(name)
        if known is not None and _origin(known) != _origin(loss):
            raise ValueError(
                f"`name` must be free, got {name!r}, the name of {_origin(known)}"
            )
        decorated: Any = loss
        decorated.needs = Needs(clipped_labels, fixed_level_weights)
        _REGISTERED[name] = decorated() if isinstance(loss, type) else decorated
        return loss

    return register


def listwise_names() -> list[str]:
    """The sorted names of all registered listwise losses."""
    return sorted(_all_registered())


def registered_loss(name: str) -> ListwiseLoss | None:
    """The loss of a name; None where there is none."""
    return _all_registered().get(name)


def needs_of(loss: ListwiseLoss) -> Needs:
    """What a loss needs; nothing, if it does not say."""
    return getattr(loss, "needs", Needs())


def _all_registered() -> dict[str, ListwiseLoss]:
    shipped = Registry("hgr_tf.losses.listwise")
    for name in shipped.names():
        importlib.import_module(f"{shipped.package}.{name}")
    return _REGISTERED


def _origin(loss: object) -> str:
    named: Any = loss if hasattr(loss, "__qualname__") else type(loss)
    return f"{named.__module__}:{named.__qualname__}"
