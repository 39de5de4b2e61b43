"""The command line: a thin skin over the repository and the migrations."""
