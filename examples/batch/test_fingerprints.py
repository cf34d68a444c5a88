"""Run with `python -m pytest`."""

from fingerprints import Document, fingerprint

TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness"


def bits(text: str) -> int:
    return int(fingerprint(Document(text=text)).bits, 16)


def test_a_copy_with_changes_is_nearer_than_another_text() -> None:
    copied = bits(TEXT) ^ bits(TEXT.replace("foolishness", "folly"))
    another = bits(TEXT) ^ bits(
        "Call me Ishmael. Some years ago, never mind how long precisely, I went to sea"
    )
    assert copied.bit_count() < another.bit_count()


def test_a_text_without_words_has_one_too() -> None:
    assert bits("") == bits("?!")
