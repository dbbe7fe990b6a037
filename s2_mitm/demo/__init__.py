"""A simulated battery and its energy manager, for the demo and the tests."""
