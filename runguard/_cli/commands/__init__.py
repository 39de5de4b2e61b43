"""One file for each command, named as it is typed; each is loaded when it is called."""
