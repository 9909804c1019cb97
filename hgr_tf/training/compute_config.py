"""ComputeConfig: how the steps of a run are computed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hgr_tf.features.strict_model import Strict


class ComputeConfig(Strict):
    """How the steps of a run are computed; what is trained is decided elsewhere.

    Attributes:
        precision: "float32", or one of Keras's policies "mixed_float16" (its loss is
            scaled) and "mixed_bfloat16": layers compute in half precision, and their
            weights stay float32. Of training alone: the finished run is evaluated,
            loaded and exported in float32.
        jit_compile: Whether XLA compiles the training step; None leaves it to Keras.
        deterministic: Whether ops that may give other bits in each run, as some of
            GPUs do, are replaced by slower ones that do not, or refused.
        gradient_accumulation: Parts that a batch is computed in, one after the other,
            before its one update: activations take the memory of a part, and the
            lists of ranking losses are those of a part.
    """

    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = "float32"
    jit_compile: bool | None = None
    deterministic: bool = False
    gradient_accumulation: int = Field(1, ge=1)
