"""The users of an organisation, and the API keys that act for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from relay.sandbox.bigpanda.errors import ApiError

INCIDENT_ACTIONS: Final = "Incident Actions"
USER_MANAGEMENT: Final = "User Management"
PERMISSIONS: Final = frozenset({INCIDENT_ACTIONS, USER_MANAGEMENT})
"""The permissions that the calls here need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeBigPandaUser:
    """A person, or a service account. `active`: not deleted."""

    id: str
    name: str
    email: str
    active: bool = True

    def as_share(self) -> Mapping[str, str]:
        """The user in a share: `userId`."""
        return {"email": self.email, "name": self.name, "userId": self.id}

    def as_api_object(self) -> Mapping[str, str]:
        """The user in the Incidents API: `user_id`."""
        return {"email": self.email, "name": self.name, "user_id": self.id}

    def as_scim(self) -> Mapping[str, Any]:
        """https://docs.bigpanda.io/reference/retrieve-all-users."""
        return {"id": self.id, "userName": self.email, "displayName": self.name, "active": self.active, "roles": []}


AUTOSHARE: Final = FakeBigPandaUser(id="5506e4fbe7e0e40000000001", name="AutoShare", email="autoshare@bigpanda.example")
"""The sender of automatic shares."""


@dataclass(slots=True, kw_only=True)
class FakeApiKey:
    """A User API Key: the user for whom it acts, and that user's permissions."""

    user: FakeBigPandaUser
    permissions: frozenset[str] = PERMISSIONS
    revoked: bool = False

    def require(self, permission: str) -> None:
        """Raise 403 unless the user has the permission; the calls about users answer it in a form of their own."""
        status = HTTPStatus.FORBIDDEN
        if permission in self.permissions:
            return
        if permission == USER_MANAGEMENT:
            message = "Forbidden - insufficient permissions"
            body = {"statusCode": int(status), "error": status.phrase, "message": message}
            raise ApiError(status, message, body=body)
        raise ApiError(status, f"the permission {permission} is missing")
