"""The SDK for bots and clients: bots, answers, context, runner and client."""
