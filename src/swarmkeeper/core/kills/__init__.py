"""The kill switch: stops a bot, an owner, a skill or the whole tenant at once, until it is lifted."""
