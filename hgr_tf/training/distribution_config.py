"""DistributionConfig: on which devices and machines a run is trained."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from hgr_tf.features.strict_model import Strict


class DistributionConfig(Strict):
    """On which devices and machines a run is trained.

    Every device, or machine without accelerators, trains a copy of the model on its
    share of each batch; gradients are summed, so that what is trained, logged and kept
    is what one process would have with the whole batch. Parameter servers are another
    thing: they hold the one model, and workers update it without waiting for each
    other, each by batches of its own.

    Attributes:
        strategy: "none" for one device; "mirrored" for several devices of this
            machine; "multi_worker" for the processes that TF_CONFIG lists, each of
            which runs the same command; "parameter_server" for those of which some
            hold the shards of large tables.
        devices: The devices of "mirrored", such as ["GPU:0", "GPU:1"]; None for all
            GPUs.
        communication: How the workers of "multi_worker" sum: "ring" over gRPC, "nccl"
            between GPUs, or "auto".
    """

    strategy: Literal["none", "mirrored", "multi_worker", "parameter_server"] = "none"
    devices: tuple[str, ...] | None = None
    communication: Literal["auto", "ring", "nccl"] = "auto"

    @model_validator(mode="after")
    def _check_options(self) -> DistributionConfig:
        if self.devices is not None and self.strategy != "mirrored":
            raise ValueError(
                "`devices` must be left out unless `strategy` is 'mirrored', got "
                f"{list(self.devices)} with {self.strategy!r}"
            )
        if self.communication != "auto" and self.strategy != "multi_worker":
            raise ValueError(
                "`communication` must be left out unless `strategy` is 'multi_worker', "
                f"got {self.communication!r} with {self.strategy!r}"
            )
        return self

    @property
    def has_servers(self) -> bool:
        """Whether weights lie on parameter servers."""
        return self.strategy == "parameter_server"

    def check_one_process(self, what: str) -> None:
        """Raises `ValueError` where several processes would do what one must."""
        if self.strategy not in ("none", "mirrored"):
            raise ValueError(
                "`distribution.strategy` must be 'none' or 'mirrored' for "
                f"{what}, got {self.strategy!r}"
            )
