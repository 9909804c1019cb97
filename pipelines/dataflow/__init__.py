"""Assets of the Dataflow Flex Template, and its entry point."""
