"""Configuration: the settings from the environment, the files that operators write, and both as one checked value."""
