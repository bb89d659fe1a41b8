"""relay: BigPanda's shared incidents as living Slack cards. docs/architecture.md says what each package holds."""

__version__ = "0.2.0"
"""The only place that says it: packages, tags and `relay --version` read it. CONTRIBUTING.md says how to release."""
