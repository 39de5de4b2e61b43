"""Whether jobs do what is expected of them. Pure: rows and a clock in, verdicts out."""
