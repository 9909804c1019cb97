"""Files and blocks of rows, wherever Beam's file systems reach."""
