"""What a task may say to the platform while it runs.

    import mecapy
    mecapy.progress(0.4, "assembling the stiffness matrix")
"""

from mecapy_runner import door as _door

__all__ = ["progress"]


def progress(fraction, message=None):
    """Says how far the task is: `fraction` from 0 to 1 (beyond is cut off), and a short message."""
    fraction = float(fraction)
    if fraction != fraction:
        raise ValueError("fraction must be a number from 0 to 1, not NaN")
    _door.send_progress(min(max(fraction, 0.0), 1.0), None if message is None else str(message))
