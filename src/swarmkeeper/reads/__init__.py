"""The read side of the API: queries, views, the event feed, approvals, audit records and explanations."""
