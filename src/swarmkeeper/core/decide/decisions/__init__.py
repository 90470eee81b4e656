"""One decision for each command that a client, a bot, a person or the engine gives."""
