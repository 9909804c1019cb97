"""User and item tables, their joins to the log, and tables of user codes."""
