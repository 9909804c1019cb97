"""The model and the task that train a ranker with groups. Loads lazily."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "hierarchical_groupwise_ranker": ["HierarchicalGroupwiseRanker"],
        "hierarchical_groupwise_task": ["HierarchicalGroupwiseTask"],
    },
)
