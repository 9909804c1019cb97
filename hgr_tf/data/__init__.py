"""Prepared data: manifest, reader, batching, synthetic logs. Loads lazily.

The manifest and the synthetic logs need no TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "manifest": ["Manifest", "ManifestError"],
        "reader": ["PreparedData"],
    },
)
