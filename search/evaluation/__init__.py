"""What an export holds: predictions once, then matrix, report, curves and summary, each from these."""
