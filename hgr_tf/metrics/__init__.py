"""Streaming Keras metrics: GAUC and ranks, calibration, codebook health. Loads lazily.

`group_auc`, the numpy form of GAUC, needs no TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "area_under_curve": ["AreaUnderCurve"],
        "codebook_usage": ["CodebookUsage"],
        "expected_calibration_error": ["ExpectedCalibrationError"],
        "expired_codes": ["ExpiredCodes"],
        "gauc": ["GroupAUC"],
        "gauc_numpy": ["group_auc"],
        "group_hit_rate": ["GroupHitRate"],
        "group_mrr": ["GroupMRR"],
        "group_ndcg": ["GroupNDCG"],
        "group_occupancy": ["GroupOccupancy"],
        "perplexity": ["Perplexity"],
        "predicted_over_observed": ["PredictedOverObserved"],
        "quantization_error": ["QuantizationError"],
    },
)
