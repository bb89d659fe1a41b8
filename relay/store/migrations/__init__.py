"""Alembic's environment: `env` runs on relay's connection, `versions` are the steps."""
