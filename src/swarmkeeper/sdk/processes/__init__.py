"""Child processes: of isolated attempts and of programs that a bot runs; and the end of the bot's own."""
