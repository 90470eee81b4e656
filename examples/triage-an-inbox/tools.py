"""The one thing that this swarm can do to the world: answer a mail. A person approves each answer."""

import hashlib
from email import message_from_bytes
from email.message import EmailMessage

from pydantic_ai import ApprovalRequired, RunContext

from swarmkeeper.ai.tools import ToolFolder


def send(context: RunContext[ToolFolder], mail: str, subject: str, text: str) -> str:
    """Answer a mail. The answer goes to whoever wrote the mail, and to nobody else.

    Args:
        mail: the name of its file.
        subject: the subject of the answer.
        text: what it says.
    """
    mails = {path.name: path for path in (context.deps.path / "inbox").iterdir()}
    if mail not in mails:
        raise ValueError(f"there is no mail {mail}")
    if not context.tool_call_approved:
        raise ApprovalRequired  # ends the attempt; the work goes on here when a person has approved this very call
    answer = EmailMessage()
    answer["To"] = message_from_bytes(mails[mail].read_bytes())["From"]
    answer["Subject"] = subject
    answer.set_content(text)
    # Here it would be handed to a mail server. The name of the file follows from the mail: a repetition sends nothing.
    outbox = context.deps.path / "outbox"
    outbox.mkdir(exist_ok=True)
    (outbox / f"{hashlib.sha256(bytes(answer)).hexdigest()[:16]}.eml").write_bytes(bytes(answer))
    return f"sent the answer to {mail}"
