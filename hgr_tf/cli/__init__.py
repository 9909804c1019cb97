"""The `hgr-tf` command line: one module a command."""
