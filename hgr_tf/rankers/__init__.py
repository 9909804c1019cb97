"""Rankers to start from: MLP, DCN-v2, DLRM. Loads lazily."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "dcn_v2": ["dcn_v2_ranker"],
        "dlrm": ["dlrm_ranker"],
        "mlp": ["mlp_ranker"],
    },
)
