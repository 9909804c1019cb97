"""What a run writes: shard formats, layouts, the statistics page, the TFX schema."""
