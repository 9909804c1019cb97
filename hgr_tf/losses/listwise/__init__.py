"""The listwise losses, one file each; a file is named as its loss is."""
