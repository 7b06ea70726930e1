"""Whom a room asks for its key, and how long: a broker, or on Nitro AWS KMS.

Both give it to a machine that has proved itself, and to that machine alone; both are asked again for a while if they
can not answer, and never after a refusal. The key is checked against the signed package by whoever opens that.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sealroom.errors import UnavailableError
from sealroom.evidence import Attester
from sealroom.room.config import RoomConfig
from sealroom.room.key_client import Step
from sealroom.sealed.keys import ModelKey

if TYPE_CHECKING:
    from sealroom.room.kms_settings import KmsSettings

__all__ = ["asked_whom", "fetch_kms_key", "patiently", "released_what"]

_log = logging.getLogger("sealroom.room")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_ASKED_AGAIN = ("room.broker-", "aws.kms-")
"""Codes of those who can not answer now."""
T = TypeVar("T")


def asked_whom(config: RoomConfig) -> dict[str, str]:
    """For people and the boot's record: who is asked for the key; no password is in it."""
    return {"broker": config.broker.rpartition("@")[2]} if config.aws_kms is None else {"kms": config.aws_kms.key.arn}


def released_what(config: RoomConfig) -> dict[str, str]:
    """And what for."""
    return {"resource": config.resource} if config.aws_kms is None else {"ciphertext": config.aws_kms.ciphertext.name}


async def fetch_kms_key(
    settings: "KmsSettings",
    attester: Attester,
    package_digest: bytes,
    wait: timedelta,
    on_step: Callable[[Step], None],
) -> ModelKey:
    """As `fetch_key_from_kms`, patiently; the code for it is read now."""
    from sealroom.room.kms_service import fetch_key_from_kms  # noqa: PLC0415 - much code, and few rooms need it

    ask = partial(fetch_key_from_kms, settings, attester, package_digest=package_digest, on_step=on_step)
    return await patiently(ask, wait)


async def patiently(ask: Callable[[], Awaitable[T]], wait: timedelta) -> T:
    """Ask, again and again for a while if there is no answer. A refusal is final."""
    deadline = time.monotonic() + wait.total_seconds()
    pause = _FIRST_PAUSE
    while True:
        try:
            return await ask()
        except UnavailableError as error:
            if not error.code.startswith(_ASKED_AGAIN) or time.monotonic() + pause > deadline:
                raise  # it is not the one who has the key that is missing, or it has been missing for too long
            _log.info("no answer about the key (%s); asking again in %.1f s", error.code, pause)
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE, 2 * pause)
