"""Who may come in, and who may change something."""
