"""What TensorFlow does with each kind of feature, a file each, named as the kind."""
