"""Errors that callers can act on, one class for each. Only the edge knows HTTP.

`details` (`errors` on the wire) point into the request: (JSON Pointer, code, fixed text). They never repeat input.
"""

from __future__ import annotations

from typing import ClassVar

Detail = tuple[str, str, str]


class SwarmkeeperError(Exception):
    """An error that a caller can act on. `code` is stable; `detail` says what is wrong, without repeating input."""

    code: ClassVar[str]
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, details: tuple[Detail, ...] = (), retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.details = details
        self.retry_after = retry_after  # seconds


class AuthenticationFailed(SwarmkeeperError):
    """The key or token is missing, unknown, expired or revoked. Use another one."""

    code = "unauthenticated"


class PermissionDenied(SwarmkeeperError):
    """The key or token is valid, but its role, bot or owner does not allow this action, or a policy denies it."""

    code = "forbidden"
    policies: tuple[str, ...] = ()  # ids of the policies that deny it


class SignInRequired(SwarmkeeperError):
    """The decision needs a person who has signed in a short time ago (step-up authentication, RFC 9470).

    Sign in again at the identity provider and repeat the call with the new token; `WWW-Authenticate` has `max_age`.
    An API key is never enough.
    """

    code = "insufficient_user_authentication"
    max_age_seconds: int = 0  # how long ago the sign-in may be
    acr: tuple[str, ...] = ()  # the authentication contexts of which the token must name one


class ResourceNotFound(SwarmkeeperError):
    """It does not exist, or belongs to another tenant: the two cases look the same on purpose."""

    code = "not_found"


class Erased(SwarmkeeperError):
    """It was erased with the data keys of its tenant, and cannot be read any more by anybody. Its row leaves soon."""

    code = "erased"


class MethodNotAllowed(SwarmkeeperError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"


class LeaseLost(SwarmkeeperError):
    """The caller no longer holds the work item; another bot may be working on it.

    The bot must drop the work and lease again. Its result was kept as a late result, not applied.
    """

    code = "lease_lost"


class LeaseRequired(SwarmkeeperError):
    """The report names no lease, and the server cannot tell which one it means. Send `lease_id`."""

    code = "lease_required"


class AlreadyReported(SwarmkeeperError):
    """Another result was already accepted under this lease. The first result stays valid."""

    code = "already_reported"


class IllegalTransition(SwarmkeeperError):
    """This action is not allowed in the object's current state. Read it again, then decide."""

    code = "illegal_transition"


class TaskClosed(SwarmkeeperError):
    """The task has ended. The bot must drop the work; its result was kept as a late result."""

    code = "task_closed"


class StillStopping(SwarmkeeperError):
    """The task's last change is still in progress. Try again in a moment."""

    code = "still_stopping"
    retryable = True


class StaleApproval(SwarmkeeperError):
    """The subject of the approval has changed since it was read. Read it again."""

    code = "stale_approval"


class AlreadyDecided(SwarmkeeperError):
    """The approval already has a different decision, or cannot be decided in this way. Read the approval again."""

    code = "already_decided"


class BotTypeFixed(SwarmkeeperError):
    """A bot of this name is registered with another type. Use another name."""

    code = "bot_type_fixed"


class CursorTooOld(SwarmkeeperError):
    """Events after this cursor have left the feed. Read what you follow again, and go on from the oldest cursor.

    Cursors that another store gave get the same answer."""

    code = "cursor_too_old"

    def __init__(self, oldest: str) -> None:
        super().__init__(f"events after this cursor have left the feed: the oldest cursor is {oldest}")
        self.oldest = oldest  # events after this cursor are all there


class PreconditionFailed(SwarmkeeperError):
    """The object has changed since it was read (`If-Match`). Read it again, then decide."""

    code = "precondition_failed"


class Malformed(SwarmkeeperError):
    """The body is not valid JSON (RFC 8259)."""

    code = "malformed"


class IdempotencyKeyReused(SwarmkeeperError):
    """This Idempotency-Key was used with another body. Use a new key."""

    code = "idempotency_key_reused"


class Invalid(SwarmkeeperError):
    """The request is invalid; `errors` lists each error and its position."""

    code = "invalid"


class InvalidPlan(SwarmkeeperError):
    """The plan is invalid; `errors` lists all errors. The lease stays valid: correct the plan and report again."""

    code = "invalid_plan"


class NotSupported(SwarmkeeperError):
    """The field or call belongs to a feature that this version does not have; `errors` names an alternative."""

    code = "not_supported"


class TooLarge(SwarmkeeperError):
    """The body, or a value in it, is too large. Store large data elsewhere, and send its address."""

    code = "too_large"


class UnsupportedMediaType(SwarmkeeperError):
    """The body must be `application/json`, uncompressed."""

    code = "unsupported_media_type"


class RateLimited(SwarmkeeperError):
    """Too many calls or failed logins from this caller, or too much is held at a time; `errors` names the limit.

    Wait as long as `Retry-After` says.
    """

    code = "rate_limited"
    retryable = True


class SecretNotFound(SwarmkeeperError):
    """No such secret for this work; `errors` says which names.

    A secret that does not exist, one that its rule does not let this bot have, one of another tenant, and one that the
    inputs of this work do not refer to all look the same on purpose.
    """

    code = "secret_not_found"


class SecretsUnavailable(SwarmkeeperError):
    """The back end that has the secret does not answer, or refuses the server. Try again after `Retry-After`."""

    code = "secrets_unavailable"
    retryable = True


class Killed(SwarmkeeperError):
    """An operator has stopped the whole tenant; `detail` says why. Reads go on.

    Do not repeat the call: it is accepted again when an administrator lifts the kill (`swarmkeeper kill list`).
    """

    code = "killed"


class BacklogFull(SwarmkeeperError):
    """The tenant has reached its limit of open tasks, open subtasks or stored bytes; `errors` says which.

    Submit again after `Retry-After`: tasks that end or are cancelled make room. `tenant get` shows the current use.
    The server's operator can raise the limit (`swarmkeeper docs limits`).
    """

    code = "backlog_full"
    retryable = True


class Internal(SwarmkeeperError):
    """An error in the orchestrator. It was logged under the request id."""

    code = "internal"


class Overloaded(SwarmkeeperError):
    """Nothing was done. Try again after `Retry-After`."""

    code = "overloaded"
    retryable = True


class AuditUnavailable(SwarmkeeperError):
    """Nothing was done, because the audit log could not be written."""

    code = "audit_unavailable"
    retryable = True


class AuditSinkBehind(SwarmkeeperError):
    """Nothing was done: a sink that must have the audit log has not got its latest records.

    Try again after `Retry-After`. Results of work in progress are taken for another minute; reads, heartbeats,
    cancelling, pausing and revoking keys always work. Operators: `/readyz?verbose` says which sink, and why.
    """

    code = "audit_sink_behind"
    retryable = True
