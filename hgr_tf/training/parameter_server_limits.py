"""What a run with parameter servers cannot do, told by the names of its options."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hgr_tf.training.config import RunConfig

_LOST = "asynchronous workers would lose updates of what is learned"
_ASYNCHRONOUS = "the order of asynchronous steps is never the same"
_NOT_TRIED = "it was not tried there"
_SHARDED = "what it keeps lies in shards there"
_PYTHON = "Python decodes columns, and its workers have none; prepare TFRecords"


def check_parameter_servers(config: RunConfig) -> None:
    """Raises `ValueError` where an option does not work with parameter servers."""
    method = config.method
    methods = [method, *map(method.of_head, method.heads)]
    if any(one.has_codes for one in methods):
        raise ValueError(
            "`method` must have no codes where `distribution.strategy` is "
            f"'parameter_server', got {method.preset!r}: the averages of codebooks are "
            "read and then written by each step, and asynchronous workers would lose "
            "updates; take 'none' or a loss over batches or users, such as "
            "'list_ce_batch', or the strategy 'multi_worker'"
        )
    weighed = [one.level_weights for one in methods if one.ranking_loss]
    init = config.init_from
    for name, is_set, reason in (
        ("method.level_weights: uncertainty", "uncertainty" in weighed, _LOST),
        (
            "method.head_weights: uncertainty",
            method.head_weights == "uncertainty",
            _LOST,
        ),
        ("compute.precision", config.compute.precision != "float32", _NOT_TRIED),
        ("compute.jit_compile", bool(config.compute.jit_compile), _NOT_TRIED),
        ("compute.deterministic", config.compute.deterministic, _ASYNCHRONOUS),
        ("training.weight_ema", config.training.weight_ema is not None, _SHARDED),
        ("training.keep_optimizer", config.training.keep_optimizer, _SHARDED),
        ("init_from.optimizer", init is not None and init.optimizer, _SHARDED),
        ("data.reader: columns", config.data.reader == "columns", _PYTHON),
    ):
        if is_set:
            raise ValueError(
                f"`{name}` must be left out where `distribution.strategy` is "
                f"'parameter_server': {reason}"
            )
