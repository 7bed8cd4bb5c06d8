"""The random numbers of draws."""

from __future__ import annotations


def philox(seed: int, step: int, lane: int, block: int) -> tuple[int, int]:
    """The two 64-bit words of Philox4x32-10 for counter (lane, block, step) and key seed."""
    mask = 0xFFFFFFFF
    c = [lane & mask, block & mask, step & mask, step >> 32]
    k = [seed & mask, seed >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & mask, (p0 >> 32) ^ c[3] ^ k[1], p0 & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return (c[1] << 32) | c[0], (c[3] << 32) | c[2]
