"""The admin at `/admin/`: academies, accounts and sign-ins, for operators.

Operators are superusers, who belong to no academy, so they see all academies. Their changes are written into the audit
log. If a change must end sessions and connections of an academy's accounts, triggers in the database end them within a
second. For operators' connections, see `AccountAdmin.save_model`.
"""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from academy.adapters.db.django.repositories_quotas import OVERRIDES
from apps.core.audit import Event, audit
from apps.core.authentication import address_of
from apps.core.models import LoginSession, Tenant, TenantMembership, User
from apps.core.operators.sign_in import OperatorSignInForm
from realtime.outbox.revoke import revoke_on_commit
from realtime.records.keys import SYSTEM_TENANT

if TYPE_CHECKING:  # these classes are generic only for the type checker
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    BaseUserAdmin = UserAdmin[User]
else:
    ModelAdmin, TabularInline, BaseUserAdmin = admin.ModelAdmin, admin.TabularInline, UserAdmin


class OperatorSite(admin.AdminSite):
    site_header = site_title = "Academy operators"
    index_title = "Academies, accounts and sign-ins"
    site_url = "/"
    login_form = OperatorSignInForm
    enable_nav_sidebar = False
    index_template = "operations/admin_index.html"


site = OperatorSite(name="admin")


class AuditedAdmin(ModelAdmin):
    """Writes each change into the audit log. Academies, accounts and sign-ins are closed or ended, never deleted."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        _audit(request, obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        _audit(request, obj, message)
        return super().log_change(request, obj, message)


def _audit(request: HttpRequest, changed: Model, message: Any) -> None:
    tenant_id = changed.pk if isinstance(changed, Tenant) else getattr(changed, "tenant_id", None)
    audit(
        Event.OPERATOR_CHANGED,
        tenant=tenant_id,
        user=request.user.pk,
        address=address_of(request),
        subject=f"{changed._meta.model_name}:{changed.pk}",  # noqa: SLF001 - Django's documented name
        fields=_fields(message),
    )


def _fields(message: list[dict[str, dict[str, Any]]]) -> list[str]:
    """Return the names of the changed fields from the admin's message. Their values are not logged."""
    return sorted({field for part in message for change in part.values() for field in change.get("fields", [])})


@admin.register(Tenant, site=site)
class TenantAdmin(AuditedAdmin):
    list_display = ("code", "name", "active", "created_at")
    list_filter = ("active",)
    search_fields = ("code", "name")
    fields = ("code", "name", "active", *OVERRIDES, "created_at")
    readonly_fields = ("created_at",)

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> Any:  # noqa: ARG002
        """Make the code of an existing academy read only: tokens, addresses and names of cookies contain it."""
        return self.readonly_fields if obj is None else ("code", *self.readonly_fields)


class MembershipInline(TabularInline):
    model = TenantMembership
    fields = ("tenant", "role")
    readonly_fields = ("tenant",)
    extra = 0
    can_delete = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(User, site=site)
class AccountAdmin(AuditedAdmin, BaseUserAdmin):
    """Sets passwords, closes accounts, and requires new passwords."""

    list_display = ("username", "tenant", "name", "is_active", "must_change_password", "is_superuser")
    list_filter = ("is_active", "must_change_password", "is_superuser", "tenant")
    list_select_related = ("tenant",)
    search_fields = ("username", "name", "tenant__code")
    ordering = ("tenant__code", "username")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("tenant", "username", "name", "password")}),
        ("May sign in", {"fields": ("is_active", "must_change_password")}),
        ("Since", {"fields": ("is_superuser", "created_at", "last_login")}),
    )
    readonly_fields = ("tenant", "is_superuser", "created_at", "last_login")
    inlines = (MembershipInline,)
    actions = ("end_sessions",)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Save an account. If it is an operator's, end its connections, too: triggers do not end those of operators."""
        super().save_model(request, obj, form, change)
        if obj.tenant_id is None:
            revoke_on_commit(SYSTEM_TENANT, user_id=obj.pk)

    @admin.action(description="End all sign-ins of the chosen accounts")
    def end_sessions(self, request: HttpRequest, accounts: QuerySet[User]) -> None:
        for account in accounts:
            ended = account.sessions.filter(ended_at=None).update(ended_at=timezone.now())
            self.message_user(request, f"{account.username}: {ended} sign-ins ended.")
            _audit(request, account, [{"changed": {"fields": ["sessions"]}}])


@admin.register(LoginSession, site=site)
class LoginSessionAdmin(AuditedAdmin):
    """Lists the sign-ins, and can end those that an operator chooses."""

    list_display = ("user", "tenant", "created_at", "last_used_at", "address", "user_agent", "expires_at", "ended_at")
    list_filter = (("ended_at", admin.EmptyFieldListFilter), "user__tenant")
    list_select_related = ("user__tenant",)
    search_fields = ("user__username", "user__tenant__code", "address")
    ordering = ("-last_used_at",)
    actions = ("end",)

    @admin.display(ordering="user__tenant__code")
    def tenant(self, session: LoginSession) -> str:
        return str(session.user.tenant or "")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return obj is None  # actions need this permission for the list; a single session is read only

    @admin.action(description="End the chosen sign-ins")
    def end(self, request: HttpRequest, sessions: QuerySet[LoginSession]) -> None:
        chosen = list(sessions.filter(ended_at=None).select_related("user"))
        sessions.filter(pk__in=[session.pk for session in chosen]).update(ended_at=timezone.now())
        for session in chosen:
            audit(
                Event.SESSION_ENDED,
                tenant=session.user.tenant_id,
                user=request.user.pk,
                address=address_of(request),
                subject=f"session:{session.pk}",
                of_user=session.user_id,
            )
        self.message_user(request, f"{len(chosen)} sign-ins ended.")
