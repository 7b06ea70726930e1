"""Never run, only type-checked (`make types`): what a program that uses Sealroom may write."""

from pathlib import Path

import httpx

import sealroom
from sealroom.errors import SealroomError
from sealroom.evidence import Appraisal, AttestedKey
from sealroom.policy import Policy, load_policy
from sealroom.verifier import AttestedRoom


def sync_client(policy: Path) -> httpx.Client:
    return sealroom.httpx_client(room="https://room.example", policy=policy, timeout=30.0)


def async_client(text: str) -> httpx.AsyncClient:
    policy: Policy = load_policy(text, source="example")
    return sealroom.async_httpx_client(room="https://room.example", policy=policy)


def proof(policy: Path) -> tuple[AttestedKey, Appraisal]:
    with sealroom.httpx_client(room="https://room.example", policy=policy) as client:
        room: AttestedRoom = client.verify()
        return room.key, room.appraisal


def why(error: Exception) -> str:
    ours: SealroomError | None = sealroom.reason(error)
    return ours.code if ours else "unknown"
