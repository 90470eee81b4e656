"""Commands about what a store keeps readable: its pepper, and bodies that are not encrypted."""
