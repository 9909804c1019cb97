"""Does the method pay? Tuned, paired comparisons of methods. Loads lazily."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "compare": ["compare"],
        "config": ["CompareConfig"],
        "differences": ["Difference", "differences"],
        "verdict": ["Verdict", "decide"],
    },
)
