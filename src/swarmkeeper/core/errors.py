"""Everything that can be refused, one class for each thing a caller can act on. Only the edge knows HTTP.

`details`, which are `errors` on the wire, point into what the caller sent: (JSON Pointer, code, words of our own).
Input is never repeated in them.
"""

from __future__ import annotations

from typing import ClassVar

Detail = tuple[str, str, str]


class SwarmkeeperError(Exception):
    """Something that a caller can act on. `code` is stable; `detail` says what and where, and repeats no input."""

    code: ClassVar[str]
    retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, details: tuple[Detail, ...] = (), retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.details = details
        self.retry_after = retry_after  # seconds


class Unauthenticated(SwarmkeeperError):
    """No key, or one that is unknown, expired or revoked. Use another."""

    code = "unauthenticated"


class Forbidden(SwarmkeeperError):
    """The key is good, but its role, bot or owner may not do this."""

    code = "forbidden"


class NotFound(SwarmkeeperError):
    """No such thing, or none in this tenant: the two look alike on purpose."""

    code = "not_found"


class MethodNotAllowed(SwarmkeeperError):
    """There is such a path, but not with this method."""

    code = "method_not_allowed"


class LeaseLost(SwarmkeeperError):
    """The caller no longer holds the work item; someone else may be working on it.

    The bot must drop the work and lease again. Its result was kept aside, not applied.
    """

    code = "lease_lost"


class LeaseRequired(SwarmkeeperError):
    """The report names no lease, and which one it means is not beyond doubt. Send `lease_id`."""

    code = "lease_required"


class AlreadyReported(SwarmkeeperError):
    """Another result was accepted under this lease. The first one stands."""

    code = "already_reported"


class IllegalTransition(SwarmkeeperError):
    """This cannot happen to something in that state. Look at it again, then decide."""

    code = "illegal_transition"


class TaskClosed(SwarmkeeperError):
    """The task is over. The bot must drop the work; what it sent was kept aside."""

    code = "task_closed"


class StillStopping(SwarmkeeperError):
    """The task's last change is still being carried out. Try again in a moment."""

    code = "still_stopping"
    retryable = True


class StaleApproval(SwarmkeeperError):
    """What is to be approved has changed since it was read. Read it again."""

    code = "stale_approval"


class AlreadyDecided(SwarmkeeperError):
    """A person has decided otherwise, or it was not to be decided in this way. Read the approval again."""

    code = "already_decided"


class BotTypeFixed(SwarmkeeperError):
    """A bot of this name is registered with another type. Take another name."""

    code = "bot_type_fixed"


class CursorTooOld(SwarmkeeperError):
    """The feed no longer goes back that far. Start from the oldest event kept."""

    code = "cursor_too_old"


class PreconditionFailed(SwarmkeeperError):
    """It has changed since it was read (`If-Match`). Read it again, then decide."""

    code = "precondition_failed"


class Malformed(SwarmkeeperError):
    """The body is not JSON as RFC 8259 has it."""

    code = "malformed"


class IdempotencyKeyReused(SwarmkeeperError):
    """This Idempotency-Key was used with another body. Make a new one."""

    code = "idempotency_key_reused"


class Invalid(SwarmkeeperError):
    """The request breaks a rule; `errors` say which, and where."""

    code = "invalid"


class InvalidPlan(SwarmkeeperError):
    """The plan breaks rules; `errors` list all of them. The lease lives: mend the plan and report again."""

    code = "invalid_plan"


class NotSupported(SwarmkeeperError):
    """The field or call belongs to a feature that this version does not have; `errors` says what there is instead."""

    code = "not_supported"


class TooLarge(SwarmkeeperError):
    """The body, or a value in it, is larger than may be sent. Keep large things elsewhere, and send their address."""

    code = "too_large"


class UnsupportedMediaType(SwarmkeeperError):
    """Bodies are `application/json`, uncompressed."""

    code = "unsupported_media_type"


class RateLimited(SwarmkeeperError):
    """Too many calls, or failed logins, from here, or as much is held at a time as may be; `errors` names the limit.

    Wait as long as `Retry-After` says.
    """

    code = "rate_limited"
    retryable = True


class BacklogFull(SwarmkeeperError):
    """The tenant has as many open tasks, open subtasks or stored bytes as it may have; `errors` says which.

    Submit again after `Retry-After`: what ends makes room, and so does cancelling what nobody needs. `tenant get` shows
    what there is of it, and whoever runs the server may allow more (`swarmkeeper docs limits`).
    """

    code = "backlog_full"
    retryable = True


class Internal(SwarmkeeperError):
    """A fault of ours. It was logged under the request id."""

    code = "internal"


class Overloaded(SwarmkeeperError):
    """Nothing was done. Try again after `Retry-After`."""

    code = "overloaded"
    retryable = True


class AuditUnavailable(SwarmkeeperError):
    """Nothing was done, because it could not have been recorded."""

    code = "audit_unavailable"
    retryable = True
