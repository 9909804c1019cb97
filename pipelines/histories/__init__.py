"""What came before each row: histories, counters and the check that none leaks."""
