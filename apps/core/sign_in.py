"""Signs in to an account of an academy, with its password or with a one-time code in place of the password."""

from dataclasses import dataclass
from typing import Literal

from academy.adapters.db.django import repositories_codes, repositories_core
from academy.adapters.db.django.repositories_core import Device, SignedIn
from apps.core.hashing import HashingBusyError, Origin, password_is_right
from apps.core.models import User
from apps.core.one_time_codes import is_code
from apps.core.throttling import Attempt


@dataclass(frozen=True, slots=True)
class SignInResult:
    """The account, if it exists, and its new session. If there is no new session, `reason` says why."""

    user: User | None
    signed_in: SignedIn | None = None
    by: Literal["password", "code"] = "password"
    reason: Literal["no_account", "wrong_password", "closed", "code_expired", "code_used"] = "no_account"


def sign_in(
    tenant_code: str, username: str, typed: str, *, attempt: Attempt, address: str, device: Device
) -> SignInResult:
    """Compare what was typed with the account's one-time code and password. Open a session if it matches one of them.

    The caller has counted the attempt. A wrong code takes the same time as a wrong password, because whatever does not
    match the code is compared with the password. Raises HashingBusyError (503) if too many passwords wait to be
    compared.
    """
    origin = Origin.of_sign_in(tenant_code, address, known=attempt.known)
    user = repositories_core.find_account(tenant_code, username)
    if user is not None and (code_hash := _hash_of_code(user, typed)):
        return _by_code(user, code_hash, device)
    right, signed_in = False, None
    for _ in range(2):
        right = check_password(attempt, origin, user, typed)
        signed_in = repositories_core.open_session(user, device) if right and user else None
        # Try again if another sign-in or a change of the password has changed the hash since it was read.
        if signed_in or not (right and user and repositories_core.has_other_hash(user)):
            break
        user = repositories_core.find_account(tenant_code, username)
    return SignInResult(user, signed_in, reason="closed" if right else "wrong_password" if user else "no_account")


def check_password(attempt: Attempt, origin: Origin, user: User | None, password: str) -> bool:
    """Return whether the password is right, and renew an outdated hash.

    Raises HashingBusyError (503) if too many passwords wait to be checked. In this case the attempt does not count.
    """
    try:
        return password_is_right(user, password, origin)
    except HashingBusyError:
        attempt.withdraw()
        raise


def _hash_of_code(user: User, typed: str) -> str | None:
    code_hash = repositories_codes.code_hash_of(user)
    return code_hash if code_hash and is_code(user.pk, typed, code_hash) else None


def _by_code(user: User, code_hash: str, device: Device) -> SignInResult:
    signed_in = repositories_codes.sign_in_with_code(user, code_hash, device)
    if signed_in or not repositories_codes.has_expired(user, code_hash):
        return SignInResult(user, signed_in, "code", reason="code_used")
    return SignInResult(user, None, "code", reason="code_expired")
