"""The kinds of features, a file each: a module's name is the kind's `type`."""
