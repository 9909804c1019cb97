"""Calibration after training: how a ranker's logits become probabilities that hold."""
