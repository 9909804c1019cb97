"""The steps of the Beam graph, thin: they call the rooms below."""
