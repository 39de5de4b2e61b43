"""The test kit behind `runguard.testing` and the pytest plugin. A job loads none of it."""
