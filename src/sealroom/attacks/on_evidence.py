"""Attacks on the proof: the man in the middle changes, swaps or replays evidence on its way to a caller."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx

import sealroom
from sealroom.attacks.attack import Attack, Refusal, Target, refusal_of
from sealroom.attacks.man_in_the_middle import EVIDENCE, Meddling, man_in_the_middle
from sealroom.binding import Label, report_data
from sealroom.channel.channel_keys import ChannelKeys
from sealroom.collateral.bundle import EvidenceBundle, parse_bundle
from sealroom.errors import SealroomError
from sealroom.statement import parse_statement
from sealroom.testing.snp import SimulatedSnp, SnpPlatform, flip_bit

__all__ = ["ATTACKS"]

_MEASUREMENT_OFFSET = 0x90
Forge = Callable[[str, bytes], Awaitable[bytes]]


async def _ask_through(target: Target, meddling: Meddling) -> Refusal | None:
    """An honest caller asks through the man in the middle; why they got no answer, or None if they did."""
    async with (
        man_in_the_middle(meddling) as deceived_url,
        sealroom.async_httpx_client(room=deceived_url, policy=target.policy_file) as caller,
    ):
        question = {"model": target.model_name, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
        try:
            await caller.post("/v1/chat/completions", json=question)
        except (SealroomError, httpx.HTTPError) as error:
            sent = [seen for seen in meddling.passed if not seen.path_and_query.startswith(EVIDENCE)]
            return Refusal("attack.bytes-left-anyway") if sent else refusal_of(error)
    return None


async def _one_bit(target: Target) -> Refusal | None:
    async def forge(_: str, true_bundle: bytes) -> bytes:
        bundle = parse_bundle(true_bundle)
        raw = flip_bit(bundle.cpu.raw, _MEASUREMENT_OFFSET * 8)
        return replace(bundle, cpu=replace(bundle.cpu, raw=raw)).encode()

    return await _ask_through(target, Meddling(room=target.room_url, evidence=forge))


async def _swapped_keys(target: Target) -> Refusal | None:
    mine = ChannelKeys.generate().key_configs

    async def forge(_: str, true_bundle: bytes) -> bytes:
        bundle = parse_bundle(true_bundle)
        statement = replace(parse_statement(bundle.statement), key_configs=mine).encode()
        return replace(bundle, statement=statement).encode()

    return await _ask_through(target, Meddling(room=target.room_url, evidence=forge, key_list=mine))


async def _replayed(target: Target) -> Refusal | None:
    async with httpx.AsyncClient(trust_env=False) as recorder:
        answer = await recorder.get(f"{target.room_url}{EVIDENCE}", params={"nonce": "11" * 32})
        recording = answer.raise_for_status().content

    async def forge(_: str, __: bytes) -> bytes:
        return recording

    return await _ask_through(target, Meddling(room=target.room_url, evidence=forge))


async def _unknown_root(target: Target) -> Refusal | None:
    own_chip = SnpPlatform.create()
    guest = SimulatedSnp(measurement=target.guest.measurement, platform=own_chip)
    mine = ChannelKeys.generate().key_configs

    async def forge(_: str, true_bundle: bytes) -> bytes:
        statement = replace(parse_statement(parse_bundle(true_bundle).statement), key_configs=mine).encode()
        collected = guest.collect(report_data(Label.ROOM_STATEMENT, statement))
        return EvidenceBundle.of(statement, collected).encode()

    return await _ask_through(target, Meddling(room=target.room_url, evidence=forge, key_list=mine))


ATTACKS = (
    Attack(
        name="evidence-bit",
        tried="one bit of the evidence flipped on the wire",
        noticed_by="caller",
        codes=frozenset({"snp.signature"}),
        run=_one_bit,
    ),
    Attack(
        name="swapped-keys",
        tried="true evidence, the man in the middle's own key configuration",
        noticed_by="caller",
        codes=frozenset({"binding.report-data"}),
        run=_swapped_keys,
    ),
    Attack(
        name="replayed-evidence",
        tried="true evidence, recorded for an older nonce",
        noticed_by="caller",
        codes=frozenset({"binding.nonce"}),
        run=_replayed,
    ),
    Attack(
        name="unknown-root",
        tried="consistent evidence under a root of the attacker's making",
        noticed_by="caller",
        codes=frozenset({"x509.untrusted-root"}),
        run=_unknown_root,
    ),
)
