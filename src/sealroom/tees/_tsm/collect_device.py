"""One request to a character device of the kernel: what the older interfaces of several TEEs share."""

import ctypes
import fcntl
import os
from pathlib import Path

__all__ = ["device_request"]


def device_request(device: Path, number: int, request: ctypes.Structure) -> None:
    """Run ``ioctl(number)`` with ``request``, which the kernel fills.

    Raises:
        OSError: as the kernel gives it.
    """
    handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, number, request)
    finally:
        os.close(handle)
