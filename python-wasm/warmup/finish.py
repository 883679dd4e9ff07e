# Every image: the desk is cleared, and `_mecapy_run` is what a task's turn calls.
warmup.finish()
for _name in [name for name in globals() if not name.startswith("__") and name not in ("_mecapy_run", "_name")]:
    del globals()[_name]
del _name
