"""Optimizers whose step costs what a batch touches, not what a table holds.

Loads lazily.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "lazy_adam": ["LazyAdam"],
        "rowwise_adagrad": ["RowwiseAdagrad"],
    },
)
