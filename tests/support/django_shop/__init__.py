"""An app of a small Django project."""
