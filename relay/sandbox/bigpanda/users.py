"""Who there is in the organisation: its users, and the keys that act for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from relay.sandbox.bigpanda.errors import ApiError, ForbiddenError

INCIDENT_ACTIONS: Final = "Incident Actions"
USER_MANAGEMENT: Final = "User Management"
PERMISSIONS: Final = frozenset({INCIDENT_ACTIONS, USER_MANAGEMENT})
"""What a key's user may do, as far as the calls here ask for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeBigPandaUser:
    """A person, or a service account. `active`: not deleted."""

    id: str
    name: str
    email: str
    active: bool = True

    def as_share(self) -> Mapping[str, str]:
        """As a share names somebody: `userId`."""
        return {"email": self.email, "name": self.name, "userId": self.id}

    def as_api_object(self) -> Mapping[str, str]:
        """As the Incidents API names somebody: `user_id`."""
        return {"email": self.email, "name": self.name, "user_id": self.id}

    def as_scim(self) -> Mapping[str, Any]:
        """https://docs.bigpanda.io/reference/retrieve-all-users."""
        return {"id": self.id, "userName": self.email, "displayName": self.name, "active": self.active, "roles": []}


AUTOSHARE: Final = FakeBigPandaUser(id="5506e4fbe7e0e40000000001", name="AutoShare", email="autoshare@bigpanda.example")
"""Who shares what nobody shares by hand."""


@dataclass(slots=True, kw_only=True)
class FakeApiKey:
    """A User API Key: for whom it acts, and what that one may do."""

    user: FakeBigPandaUser
    permissions: frozenset[str] = PERMISSIONS
    revoked: bool = False

    def require(self, permission: str) -> None:
        """Raise 403 unless the user has the permission."""
        if permission in self.permissions:
            return
        if permission == USER_MANAGEMENT:
            raise ForbiddenError("insufficient permissions")
        raise ApiError(HTTPStatus.FORBIDDEN, f"the permission {permission} is missing")
