"""What a real relay needs is shared with the acceptance tests."""

from tests.acceptance.conftest import folder, slack

__all__ = ["folder", "slack"]
