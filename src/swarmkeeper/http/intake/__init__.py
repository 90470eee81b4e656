"""What callers may send, and how it is read: bounds on sockets and bodies, strict JSON, helper processes."""
