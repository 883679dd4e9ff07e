# Made by `make_sync.py` from `_async`: don't edit.

"""The client for blocking code.py`."""
