"""From a ranker to a SavedModel: signatures, raw features, low precision, ONNX."""
