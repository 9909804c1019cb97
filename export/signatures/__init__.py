"""The signatures of an export, a file each: a module's name is the signature's."""
