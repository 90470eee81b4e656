"""What the API answers with: queries, views, the event feed, approvals, audit records and explanations."""
