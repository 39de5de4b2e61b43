"""An exception becomes a group, a reason, a place, a clean text and an alert's draft. Pure."""
