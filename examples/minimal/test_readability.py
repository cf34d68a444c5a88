"""Run with `python -m pytest`; `conduit verify` does so in a fresh environment, for the commit."""

from readability import Text, readability


def test_long_words_are_harder() -> None:
    easy = readability(Text(text="The cat sat on the mat. It was warm."))
    hard = readability(Text(text="Considerable consequences necessitate deliberation."))
    assert easy.index < hard.index
