"""Rankers to start from, with one output or one for each label. Loads lazily."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "dcn_v2": ["dcn_v2_ranker"],
        "dlrm": ["dlrm_ranker"],
        "esmm": ["esmm_ranker"],
        "mlp": ["mlp_ranker"],
        "mmoe": ["mmoe_ranker"],
        "ple": ["ple_ranker"],
        "shared_bottom": ["shared_bottom_ranker"],
    },
)
