-- runs from: schema 15
-- Labels of subtasks as JSON: all that a task's subtasks have, and of each item its own and what has flowed in.
ALTER TABLE task ADD COLUMN subtask_labels TEXT;
ALTER TABLE work ADD COLUMN labels TEXT;
