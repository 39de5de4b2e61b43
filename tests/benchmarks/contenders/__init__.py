"""The ways to record a run that are measured: each module offers the same three kinds of run."""
