"""What TensorFlow does with features: encoding raw values in a graph, embedding."""
