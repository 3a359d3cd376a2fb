"""Academies, their accounts, and the sessions in which people are signed in."""

import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Now

from academy.domain.passwords import normalised
from academy.domain.roles import Role
from academy.passwords import password_matches


class Tenant(models.Model):
    """An academy. Its data are never shown to another academy."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    active = models.BooleanField(default=True)
    quota_jobs = models.PositiveIntegerField(
        null=True, blank=True, help_text="Most unfinished jobs at a time. Empty: the default of the settings."
    )
    quota_encoding_minutes = models.PositiveIntegerField(
        null=True, blank=True, help_text="Most minutes of video encoded in a day. Empty: the default of the settings."
    )
    quota_storage_bytes = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Most bytes of stored files. Empty: the default of the settings."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "tenant"

    def __str__(self) -> str:
        return self.code


class UserManager(BaseUserManager["User"]):
    """Creates operators for `manage.py createsuperuser`."""

    def create_superuser(self, username: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(username=username, is_superuser=True, tenant=None, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """An account of a person in an academy, or of an operator, who belongs to no academy.

    Names are unique within each academy, and among the operators.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, null=True, blank=True, related_name="users")
    username = models.CharField(max_length=60)
    name = models.CharField(max_length=50, blank=True)
    is_active = models.BooleanField(default=True)
    is_superuser = models.BooleanField(default=False)
    must_change_password = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_closed_at = models.DateTimeField(null=True, editable=False)
    """When the account was last closed or last lost `is_superuser`. Only a trigger in the database writes this time."""

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        db_table = "user"
        constraints = [  # noqa: RUF012 - Django's own way to write Meta
            models.UniqueConstraint(fields=["tenant", "username"], name="uq_user_tenant_username", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return self.username

    def set_password(self, raw_password: str | None) -> None:
        """Set the password in its normalised form. Signing in compares passwords in this form."""
        super().set_password(None if raw_password is None else normalised(raw_password))

    def check_password(self, raw_password: str | None) -> bool:
        """Return whether this is the account's password, in any Unicode form."""
        return raw_password is not None and password_matches(raw_password, self.password)

    def get_session_auth_hash(self) -> str:
        """Return the hash that an admin session must have. A new password or a new `last_closed_at` changes it."""
        return self._with_closing(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """Yield what `get_session_auth_hash` would return with each of the `SECRET_KEY_FALLBACKS` as the key."""
        yield from map(self._with_closing, super().get_session_auth_fallback_hash())

    def _with_closing(self, session_hash: str) -> str:
        return f"{session_hash}.{self.last_closed_at.timestamp()}" if self.last_closed_at else session_hash

    @property
    def is_staff(self) -> bool:
        """Whether the account may use the admin. Only active operators may."""
        return self.is_active and self.is_superuser and self.tenant_id is None

    def has_perm(self, perm: str, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return self.is_staff

    def has_module_perms(self, app_label: str) -> bool:  # noqa: ARG002 - Django's signature
        return self.is_staff


class TenantMembership(models.Model):
    """The role of an account in its academy."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=[(role.value, role.value) for role in Role])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "tenant_membership"
        constraints = [models.UniqueConstraint(fields=["tenant", "user"], name="uq_membership_tenant_user")]  # noqa: RUF012

    def __str__(self) -> str:
        return f"{self.user_id}: {self.role}"


class LoginSession(models.Model):
    """A sign-in on one device, with the ids of its refresh tokens.

    A logout ends it. A refresh token that is used twice also ends it, unless the two uses are only seconds apart.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="sessions")
    token_id = models.UUIDField(help_text="The refresh token that is valid now.")
    previous_token_id = models.UUIDField(null=True, help_text="Still accepted for some seconds after a rotation.")
    rotated_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    last_used_at = models.DateTimeField(
        db_default=Now(), help_text="When the tokens of this sign-in were last refreshed."
    )
    address = models.GenericIPAddressField(null=True, help_text="The IP address that last used this sign-in.")
    user_agent = models.CharField(max_length=200, db_default="", help_text="The browser or program, shortened.")

    class Meta:
        db_table = "login_session"
        indexes = [models.Index(fields=["expires_at"], name="idx_login_session_expires")]  # noqa: RUF012

    def __str__(self) -> str:
        return str(self.id)


class OneTimeCode(models.Model):
    """A code that signs in to an account once, in place of its password. An account has at most one.

    Using a code deletes it. Triggers delete it when its account gets another password. They also delete it when one of
    two accounts is closed or gets another role: the code's account, or the account that issued the code.
    """

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="one_time_code")
    code_hash = models.CharField(max_length=64, help_text="A keyed hash. The code itself is stored nowhere.")
    issued_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "one_time_code"

    def __str__(self) -> str:
        return f"one-time code of {self.user_id}"
