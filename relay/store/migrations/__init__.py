"""Alembic's environment: `env` runs on a connection that relay hands over, `versions` are the steps."""
