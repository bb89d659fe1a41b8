"""The settings from the environment, and the checked configuration from the files that operators write."""
