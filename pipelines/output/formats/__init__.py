"""The output formats, a file each: a module's name is the name of its format."""
