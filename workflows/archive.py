"""The archive that a backfill reads: a folder of WAV files for each customer, answers beside them as JSON.

    archive/acme/monday.wav
    archive/acme/monday.wav.speaker.json

It is read in the order of names, so that the name of a clip says where to go on. An archive elsewhere, in an object
store or a database, needs a class with these three activities and nothing else.
"""

from collections.abc import Iterator
from pathlib import Path

from temporalio import activity
from temporalio.exceptions import ApplicationError

from workflows.models import (
    MAX_WAV_BYTES,
    Answers,
    ArchivedAnswer,
    ArchivedClip,
    ArchivePage,
    AudioClip,
    PageRequest,
)

ANSWER = ".speaker.json"


class Archive:
    """The activities of one archive. They are the engineers' own and run on their worker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @activity.defn(name="archive_size")
    def size(self) -> int:
        """How many clips there are."""
        return len(self._names(""))

    @activity.defn(name="archive_page")
    def page(self, request: PageRequest) -> ArchivePage:
        """The next clips."""
        names = self._names(request.after)
        taken = list(self._fitting(names[: request.most]))
        clips = tuple(clip for _, clip in taken if clip)
        at_the_end = len(taken) == len(names)
        return ArchivePage(
            clips=clips, unusable=len(taken) - len(clips), upto="" if at_the_end else taken[-1][0]
        )

    @activity.defn(name="archive_answers")
    def keep(self, answers: Answers) -> None:
        """Write answers beside their clips; one that is there already is replaced."""
        for answer in answers.answers:
            self._write(answer)

    def _names(self, after: str) -> list[str]:
        found = (clip.relative_to(self._folder).as_posix() for clip in self._folder.glob("*/*.wav"))
        return sorted(_told(name) for name in found if name > after)

    def _fitting(self, names: list[str]) -> Iterator[tuple[str, ArchivedClip | None]]:
        """The first of these clips that fit into one payload; None for one that no call could carry."""
        room = MAX_WAV_BYTES
        for name in names:
            wav = (self._folder / name).read_bytes()
            if not 1 <= len(wav) <= MAX_WAV_BYTES:
                yield name, None
            elif len(wav) > room:
                return
            else:
                room -= len(wav)
                yield name, ArchivedClip(name=name, customer=name.partition("/")[0], clip=AudioClip(wav=wav))

    def _write(self, answer: ArchivedAnswer) -> None:
        file = self._folder / f"{answer.name}{ANSWER}"
        new = file.with_suffix(".new")
        new.write_text(answer.model_dump_json() + "\n")
        new.replace(file)


def _told(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        what = f"the name {name!a} is not UTF-8, so no call can carry it: rename the file"
        raise ApplicationError(what, type="UnusableName", non_retryable=True) from None
    return name
