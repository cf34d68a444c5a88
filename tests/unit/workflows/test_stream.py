from workflows.models import StreamProgress
from workflows.stream import as_markdown


def test_the_progress_is_shown_with_the_busiest_speaker_first() -> None:
    progress = StreamProgress(
        identified=9, refused=1, waiting=2, speakers={"zoe": 2, "anna": 2, "ben": 4}, other_speakers=1
    )

    assert as_markdown(progress).splitlines() == [
        "9 identified, 1 refused, 2 waiting",
        "",
        "- `ben`: 4",
        "- `anna`: 2",
        "- `zoe`: 2",
        "- others: 1",
    ]


def test_a_speakers_name_is_shown_as_text_whatever_it_holds() -> None:
    progress = StreamProgress(speakers={"`[click](http://example.org)\n# a": 1})

    assert as_markdown(progress).splitlines()[2:] == ["- `?[click](http://example.org)?# a`: 1"]
