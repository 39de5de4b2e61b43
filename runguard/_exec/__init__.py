"""`runguard exec`: any command as a run."""
