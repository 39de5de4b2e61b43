"""One module for each scheduler, queue and framework. Import the one that you use."""
