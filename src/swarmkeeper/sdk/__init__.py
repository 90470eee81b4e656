"""What bot authors and clients use: bots, answers, context, the runner, and the client."""
