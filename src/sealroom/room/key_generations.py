"""The channel's keys over time: one generation current, the one before still opened for a while.

A caller whose evidence names a generation that is gone is told ``channel.unknown-key``, fetches evidence and verifies
anew. Each generation has a replay memory of its own, which dies with it (spec/channel.md section 8).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sealroom.channel.channel_keys import ChannelKeys
from sealroom.channel.key_config import parse_key_configs
from sealroom.channel.replay import ReplayWindow
from sealroom.errors import MisuseError

__all__ = ["KeyGeneration", "KeyGenerations"]


@dataclass(frozen=True, slots=True)
class KeyGeneration:
    """Keys, the memory of what was sealed to them, and since when they are current."""

    keys: ChannelKeys
    replay: ReplayWindow
    born: datetime

    @property
    def key_ids(self) -> frozenset[int]:
        """The key ids of this generation."""
        return frozenset(config.key_id for config in parse_key_configs(self.keys.key_configs))


class KeyGenerations:
    """The current generation and those that are still opened.

    Args:
        at: now.
        lifetime: how long a generation is current.
        overlap: how long it is opened after that; at least as long as a statement that names it holds.
    """

    def __init__(self, *, at: datetime, lifetime: timedelta, overlap: timedelta) -> None:
        if lifetime <= timedelta(0) or not timedelta(0) < overlap <= lifetime:
            raise MisuseError("room.key-times", "keys must overlap for less time than they live",
                              got=f"lifetime {lifetime}, overlap {overlap}")  # fmt: skip
        self._lifetime = lifetime
        self._overlap = overlap
        self._held = [_generation(ChannelKeys.generate(), at)]
        self._by_id = dict.fromkeys(self._held[0].key_ids, self._held[0])

    @property
    def current(self) -> KeyGeneration:
        """The generation that statements name."""
        return self._held[-1]

    @property
    def key_configs(self) -> bytes:
        """The current generation's application/ohttp-keys list."""
        return self.current.keys.key_configs

    def for_request(self, first_byte: int) -> KeyGeneration:
        """The generation whose key id a request names, or else the current one, which will refuse it."""
        return self._by_id.get(first_byte, self.current)

    def next_rotation(self) -> datetime:
        """When `rotate` has something to do."""
        due = self.current.born + self._lifetime
        return min(due, self._end(self._held[0])) if len(self._held) > 1 else due

    def rotate(self, at: datetime) -> None:
        """Make the next generation if the current one has lived its time, and drop what has outlived the overlap."""
        if at >= self.current.born + self._lifetime:
            self._held.append(_generation(self.current.keys.rotated(), at))
        while len(self._held) > 1 and at >= self._end(self._held[0]):
            self._held.pop(0)
        self._by_id = {key_id: generation for generation in self._held for key_id in generation.key_ids}

    def _end(self, generation: KeyGeneration) -> datetime:
        successor = self._held[self._held.index(generation) + 1]
        return successor.born + self._overlap


def _generation(keys: ChannelKeys, at: datetime) -> KeyGeneration:
    return KeyGeneration(keys, ReplayWindow(), at)
