"""Functional Keras models as graphs: finding, cutting and sharing their parts."""
