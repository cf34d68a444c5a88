"""Fingerprints of texts: the more two texts have in common, the fewer bits of theirs differ (SimHash)."""

import re
from hashlib import blake2b

from pydantic import BaseModel, Field
from temporalio import activity


class Document(BaseModel):
    """A text to find again."""

    text: str


class Fingerprint(BaseModel):
    """What it is found by."""

    bits: str = Field(pattern="^[0-9a-f]{16}$", description="64 bits, in hexadecimal")


@activity.defn
def fingerprint(document: Document) -> Fingerprint:
    """Take a text's fingerprint."""
    words = re.findall(r"\w+", document.text.lower())
    phrases = {" ".join(words[at : at + 3]) for at in range(max(len(words) - 2, 1))}
    hashes = [int.from_bytes(blake2b(phrase.encode(), digest_size=8).digest(), "big") for phrase in phrases]
    # Each phrase votes for the bits that its own hash has.
    bits = sum(1 << bit for bit in range(64) if 2 * sum(one >> bit & 1 for one in hashes) > len(hashes))
    return Fingerprint(bits=f"{bits:016x}")
