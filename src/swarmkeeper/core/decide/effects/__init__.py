"""What follows from a decision: rows of a plan, edges, holds, deadlines, the end of items and tasks."""
