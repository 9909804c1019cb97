"""What a pass over the data observes, and what is learned from it."""
