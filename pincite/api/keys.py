"""Keys: who asks, and what they may do. The settings hold hashes alone."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from pincite.settings import ApiKey


def make(name: str, role: str) -> tuple[str, str]:
    """A new key, and the lines for the settings file. 256 random bits: one round of SHA-256 keeps them secret."""
    key = secrets.token_urlsafe(32)
    sha256 = hashlib.sha256(key.encode()).hexdigest()
    return key, f'[[api.keys]]\nname = "{name}"\nrole = "{role}"\nsha256 = "{sha256}"'


def find(keys: Iterable[ApiKey], authorization: bytes) -> ApiKey | None:
    """Whose key a header `Authorization: Bearer KEY` holds. Every key is compared, each in constant time."""
    scheme, _, given = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        return None
    sha256 = hashlib.sha256(given.strip()).hexdigest()
    found = None
    for key in keys:
        if hmac.compare_digest(key.sha256, sha256):
            found = key
    return found
