"""People who sign in: passwords, sessions, invitations, keys."""

from console.people.store import People, SignedIn

__all__ = ["People", "SignedIn"]
