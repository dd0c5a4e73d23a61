"""Values and pure decisions: schedules, tasks, states, views, and the ports between components."""
