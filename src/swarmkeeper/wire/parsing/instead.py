"""Fields that other systems have and this API does not, with what to use instead."""

from __future__ import annotations

from collections.abc import Mapping

# Records in which these fields get a hint. Elsewhere the same name is more likely a typo.
ASKED = frozenset({"TaskDefinition", "TaskPatch", "SubTask", "Plan", "Verdict", "BotInfo", "BotRegistration"})

_WHEN = "work begins as soon as a bot takes it: submit it when it is due, from cron or your own timer"
_AGAIN = "tasks do not repeat: let cron submit them, with a new Idempotency-Key each time"
_AT_ONCE = "`concurrency` in a subtask limits what runs at once by a key; `capacity` of a bot what it does at once"
_CALL = "there are no callbacks: wait with GET /tasks/{task_id}?wait_seconds=, or follow GET /events"
_COST = "budget limits what a task or subtask may use: cost_micro_usd, tokens, attempts"
_MODEL = "the bot decides which model does the work, and how: pass what it needs in `input`"
_WHO = "required_skills selects the bots that may take a subtask, assign_to names one bot"
_SECRETS = "secrets are not passed to bots: a bot has its own, from its environment"
INSTEAD: Mapping[str, str] = {
    **dict.fromkeys(("run_at", "start_at", "scheduled_at", "scheduled_for", "not_before", "eta", "delay"), _WHEN),
    **dict.fromkeys(("delay_seconds", "start_after", "countdown"), _WHEN),
    **dict.fromkeys(("cron", "schedule", "recurring", "recurrence", "repeat", "interval", "interval_seconds"), _AGAIN),
    **dict.fromkeys(("max_concurrency", "parallelism", "max_parallel", "concurrency_limit"), _AT_ONCE),
    **dict.fromkeys(("webhook", "webhooks", "webhook_url", "callback", "callback_url", "notify", "notify_url"), _CALL),
    **dict.fromkeys(("on_complete", "on_success", "on_error"), _CALL),
    **dict.fromkeys(("budget_usd", "max_cost", "max_cost_usd", "cost_limit", "max_tokens"), _COST),
    **dict.fromkeys(("model", "prompt", "system_prompt", "temperature", "tools"), _MODEL),
    **dict.fromkeys(("agent", "agents", "bot", "bots", "worker", "queue", "assignee"), _WHO),
    **dict.fromkeys(("secrets", "env", "environment", "credentials"), _SECRETS),
    **dict.fromkeys(("retry", "retries", "max_retries", "retry_policy", "backoff"), "max_attempts limits the tries"),
    **dict.fromkeys(("timeout", "timeout_ms"), "timeout_seconds limits one attempt, deadline_seconds the whole task"),
    **dict.fromkeys(("deadline", "due", "due_at", "expires_at", "ttl", "ttl_seconds"), "deadline_seconds, from now on"),
    **dict.fromkeys(("tags", "annotations"), "labels, which can be searched, or metadata, which bots get"),
    **dict.fromkeys(("dependencies", "needs", "after", "requires"), "depends_on, in each subtask"),
    **dict.fromkeys(("parent", "parent_id", "children", "steps", "nodes", "edges"), "subtasks, with depends_on"),
    **dict.fromkeys(("name", "goal", "task", "instructions"), "title and description say what to do"),
}
