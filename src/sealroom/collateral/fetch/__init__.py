"""Collateral from the vendors' services. The only part of verification that speaks to a network, and ahead of it.

Nothing that is fetched is believed: it is untrusted bytes until verification has checked them. A fetch that fails
leaves nothing behind, and what is absent is a refusal.

    vendors       one call for whatever evidence needs: `intel`, `amd`, `nvidia`, `google`, one file each
    transport     how they are asked
    address       what the address of a service may be

Nothing is imported here: a room reads the addresses in its configuration, and most rooms ask nobody.
"""
