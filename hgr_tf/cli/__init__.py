"""The `hgr-tf` command line: one module per command."""
