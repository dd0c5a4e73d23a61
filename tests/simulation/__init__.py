"""The real scheduler, dispatcher, runner, wake and store in a simulated world, through random histories.

A history (`history.py`) is made from one number, its seed: some tasks, a wake, and what happens to them: time
passes, the clock is set, the machine sleeps, the process stalls, is stopped, or is killed at any turn of its
loop and any write, the power goes, people force, reset, pause and edit the settings, a file that
the real loader reads and the real watch takes up. `world.py` plays it and keeps a trace
of what really happened. In `rules/`, `invariants.py` judges the trace; `oracle.py`, `owed.py` and `wanted.py`
work out what the contract wants without the code under test.

To read a failure: its first line names the seed, the rule and the task, the tasks follow, then each event
with the time that the clock showed (UTC); `>>>` marks the moment at which the rule broke. The story is the
shortest history found that still breaks it. `python -m tests.simulation --seed N` plays one seed again.

`python -m tests.simulation.mutants` plays them on a scheduler with a fault, which a rule must see.

To add a rule: write a function in `rules/invariants.py` that yields what broke, and name it in RULES. To add
something that happens: a kind of step in `history.py`, a method of its name in `World`, and a sentence in
`story.py`; if it changes what is owed, a method in `Wanted`. A pause of everything, say, is such a step.
"""
