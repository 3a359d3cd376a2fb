"""Signing keys: one for each purpose, derived from `SECRET_KEY` and `SECRET_KEY_FALLBACKS`.

A signature for one purpose is never valid for another, and a key that leaks does not reveal `SECRET_KEY`. Django's own
signers (`django.core.signing`) derive their keys from a salt in the same way, and use the fallbacks too.
"""

from functools import cache

from django.conf import settings
from django.utils.crypto import salted_hmac

FOR_ACCESS = "access token"
FOR_REFRESH = "refresh token"


def verifying_keys(purpose: str) -> list[bytes]:
    """Return the keys with which a token of this purpose may have been signed: `signing_keys`, and one old key.

    Until 2026-11-28 access and refresh tokens had the same key. No new token is signed with that key, but it still
    verifies old tokens, so that people stay signed in after an update. Remove that key in version 0.3: the tokens that
    were signed with it have expired by then, because a refresh token is valid for 14 days.
    """
    return [*signing_keys(purpose), _key("academy.tokens", "signing key", settings.SECRET_KEY)]


def signing_keys(purpose: str) -> list[bytes]:
    """Return the keys of a purpose. The first key signs, and all keys verify.

    There is one key for each secret: first for `SECRET_KEY`, then for each of `SECRET_KEY_FALLBACKS`.
    """
    secrets = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [_key("academy.keys", purpose, secret) for secret in secrets]


@cache
def _key(salt: str, purpose: str, secret: str) -> bytes:
    return salted_hmac(salt, purpose, secret, algorithm="sha256").digest()
