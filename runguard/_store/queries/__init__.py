"""What operators read, do and delete, for both databases."""
