"""Who may call, and how much: keys, quotas, the presence of bots."""
