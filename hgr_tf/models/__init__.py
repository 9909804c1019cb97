"""The model that trains a ranker, and rankers to start from. Loads lazily."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "dcn_v2": ["dcn_v2_ranker"],
        "dlrm": ["dlrm_ranker"],
        "hierarchical_groupwise_ranker": ["HierarchicalGroupwiseRanker"],
        "mlp": ["mlp_ranker"],
        "task": ["HierarchicalGroupwiseTask"],
    },
)
