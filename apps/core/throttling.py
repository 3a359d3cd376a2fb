"""How often somebody may try to sign in."""

import structlog
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView

log = structlog.get_logger(__name__)


class SignInThrottle(SimpleRateThrottle):
    """Ten tries a minute for one account from one address. Without Redis nobody is locked out."""

    rate = "10/min"

    def get_cache_key(self, request: Request, view: APIView) -> str:  # noqa: ARG002 - DRF's signature
        data = request.data if isinstance(request.data, dict) else {}
        account = f"{data.get('tenant', '')}/{data.get('username', '')}"[:200]
        return f"sign-in:{self.get_ident(request)}:{account.encode().hex()}"

    def allow_request(self, request: Request, view: APIView) -> bool:
        try:
            return bool(super().allow_request(request, view))
        except RedisError as problem:
            log.warning("sign_in_not_throttled", error=str(problem))
            return True
