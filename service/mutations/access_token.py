"""Access tokens of the caller's session, for other services."""

from __future__ import annotations

import datetime as dt
import time

import strawberry
from joserfc.jwk import OKPKey

from service import limits
from service.access.rules import Access
from service.context import Info, Resources
from service.credentials.access_tokens import claims_of, signed
from service.errors import ApiError, ApiErrorCode
from service.inputs import UNSET, ExactText, optional
from service.links import public_address
from service.mutations.guards import require_session
from service.payloads import Payload, mutation, result
from service.sessions import remaining_seconds
from service.signing_keys import create_first_key


@strawberry.input(description="Access token to create")
class CreateAccessTokenInput:
    """Input of createAccessToken."""

    audience: str | None = optional(
        "Service that the token is for, the claim aud; without it, this service itself", ExactText(limits.AUDIENCE)
    )


@strawberry.type(description="Payload of createAccessToken")
class AccessTokenPayload(Payload):
    """A token, or errors."""

    access_token: str | None = result(
        "JSON Web Token of the type at+jwt (RFC 9068), signed with EdDSA; the public keys are at /.well-known/jwks.json"
    )
    expires_at: dt.datetime | None = result("Time when the token expires")


@mutation(Access(own="sessions.read"))
async def create_access_token(info: Info, input: CreateAccessTokenInput | None = UNSET) -> AccessTokenPayload:
    """Create an access token of the session, which other services can verify without a request.

    This service accepts it as `Authorization: Bearer` if it is for no other audience, and only as long as the session
    is valid.
    """
    context, actor = info.context, info.context.actor
    session_id = require_session(info)
    if actor.restriction is not None:
        # SECURITY: other services do not know of it
        raise actor.restriction
    session = await context.loaders.one("sessions_by_id", session_id)
    if session is None:
        raise ApiError(ApiErrorCode.UNAUTHENTICATED, "This session is no longer valid.")
    issuer = public_address(context.resources.settings)
    lifetime = min(context.resources.settings.access_token_lifetime, remaining_seconds(session))
    expires = int(time.time() + lifetime)
    audience = (input and input.audience) or issuer
    claims = claims_of(issuer, str(actor.user_id), session_id, audience=audience, expires=expires)
    if actor.impersonator_id is not None:
        claims["act"] = {"sub": actor.impersonator_id}  # RFC 8693, section 4.1
    key_id, key = await _signing_key(context.resources)
    token = signed(key, key_id, claims)
    return AccessTokenPayload(access_token=token, expires_at=dt.datetime.fromtimestamp(expires, dt.UTC))


async def _signing_key(resources: Resources) -> tuple[str, OKPKey]:
    found = await resources.signing_keys.current()
    if found is None:
        await create_first_key(resources.database, resources.encryption)
        found = await resources.signing_keys.current()
    if found is None:
        raise ApiError(ApiErrorCode.UNAVAILABLE, "The signing key was removed. Try again.")
    return found
