"""Models run by TensorFlow's C library: no Keras, no TensorFlow in Python."""
