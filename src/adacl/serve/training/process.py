"""Processes beside the service: they give way to it, and end with it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from typing import IO

NICENESS = 10


async def begun(module: str, argument: str, errors: int | IO[bytes]) -> asyncio.subprocess.Process:
    """Run a module of adacl that begins with :func:`give_way`; what it prints can be read.

    ``errors`` is where its stderr goes.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        argument,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        start_new_session=True,  # Ctrl-C is for the service
    )


def give_way() -> None:
    """Lower the priority of this process, and end it once its standard input closes.

    That happens when whoever began it is gone.
    """
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)
