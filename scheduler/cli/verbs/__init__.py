"""Commands that ask a scheduler to do something to a task, a run or a wake."""
