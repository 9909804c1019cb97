"""Hierarchical group-wise ranking for TensorFlow and Keras recommenders.

`import hgr_tf` is cheap: subpackages load on first use, and `hgr_tf.features`
never loads TensorFlow.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "comparing",
        "data",
        "export",
        "features",
        "groups",
        "layers",
        "losses",
        "metrics",
        "models",
        "optimizers",
        "pipelines",
        "rankers",
        "testing",
        "training",
    ],
    submod_attrs={
        "input_checks": ["set_input_checks"],
        "models": ["HierarchicalGroupwiseRanker"],
    },
)
