"""What the core knows of secrets: references in inputs, records, commands, events and reads. Never a value in plain."""
