"""The ranker over integer ids as an ONNX file, without preprocessing."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

from hgr_tf.calibration.heads import AnyCalibration
from hgr_tf.export.ranker import (
    check_calibration,
    each_head,
    gives_logits,
    ranker_of,
)
from hgr_tf.export.runtime.outputs import PROBABILITIES
from hgr_tf.functional.graph import input_tensors, is_functional

OPSET = 17


def check_onnx(model: tf.keras.Model) -> None:
    """Raises what `export_onnx` would, before any work is done."""
    try:
        import tf2onnx  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "the ONNX export needs tf2onnx: `pip install '.[onnx]'` in hgr_tf's clone"
        ) from error
    if not is_functional(ranker_of(model)):
        raise ValueError("`model` must have a functional ranker to be written as ONNX")


def export_onnx(
    model: tf.keras.Model, path: str | Path, calibration: AnyCalibration | None = None
) -> None:
    """Writes the ranker of a model for ONNX Runtime or OpenVINO.

    Its inputs are encoded features by name (ids int64 [B] or [B, max_length],
    numbers float32 [B]), its output is `probabilities` [B], or one of the name of
    each head. Whoever calls it encodes raw values; vocabularies stay with the
    SavedModel.

    Args:
        model: What `export_for_serving` takes; the ranker must be functional.
        path: Path of the file.
        calibration: What the logits go through; None leaves them as they are.

    Raises:
        ImportError: tf2onnx is not installed.
        ValueError: The ranker is not functional, or lacks an input that the
            calibration looks at.
    """
    check_onnx(model)
    import tf2onnx

    ranker = ranker_of(model)
    check_calibration(ranker, calibration)
    from_logits = gives_logits(model)
    specs = [
        tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype, name=name)
        for name, tensor in input_tensors(ranker).items()
    ]

    @tf.function(input_signature=specs)
    def probabilities(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = dict(zip([spec.name for spec in specs], values, strict=True))
        outputs = each_head(_flat, ranker(inputs, training=False))
        if calibration is not None:
            logits = outputs if from_logits else each_head(_logits, outputs)
            outputs = calibration.logits(logits, inputs)
        if from_logits or calibration is not None:
            outputs = each_head(tf.sigmoid, outputs)
        return outputs if isinstance(outputs, dict) else {PROBABILITIES: outputs}

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tf2onnx.convert.from_function(
        probabilities, input_signature=specs, opset=OPSET, output_path=str(path)
    )


def _flat(output: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.cast(output, tf.float32), [-1])


def _logits(probabilities: tf.Tensor) -> tf.Tensor:
    # ONNX has no Log1p.
    return tf.math.log(probabilities) - tf.math.log(1 - probabilities)
