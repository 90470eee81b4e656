"""Child processes for isolated attempts and for programs that a bot runs; and ending the bot's own process."""
