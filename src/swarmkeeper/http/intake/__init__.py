"""Reading requests: bounds on sockets and bodies, strict JSON, helper processes for long bodies."""
