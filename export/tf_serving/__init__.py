"""What TensorFlow Serving in production is given: configs and a load test."""
