"""The folder that an image is built from: three archives, the pinned requirements and a Dockerfile.

Equal inputs give equal bytes, whoever builds and whenever: the archives are sorted and carry no owner and no
time, so a layer that did not change is neither built nor pushed again.
"""

import io
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pipeline.models import Value
from pipeline.worker.settings import HostSettings

APP = PurePosixPath("/app")
CONDUIT = PurePosixPath("/conduit")
SETTINGS = CONDUIT / "settings.json"
DOCKERFILE = Path(__file__).with_name("Dockerfile")

# The first moment that a zip file can hold; the Dockerfile sets the same on what it writes.
EPOCH = 315532800
CACHES = {"__pycache__", ".git"}
# What an installer notes for itself, this machine's paths among it.
INSTALLERS_NOTES = {"direct_url.json", "uv_cache.json", "RECORD"}


class Code(Value):
    """A commit's code as it is laid out on this machine."""

    source: Path
    """The whole exported commit."""
    project: str = ""
    """The algorithm's folder inside it, with `/`; workers run in it."""
    search: tuple[Path, ...]
    """What goes on `sys.path`, in order: folders of `source`, or beside it the repo's installed package."""

    @property
    def workdir(self) -> PurePosixPath:
        """The workers' current folder in the image."""
        return APP / "source" / self.project

    @property
    def pythonpath(self) -> str:
        """`PYTHONPATH` in the image: the repo's own code first, the worker host last."""
        return ":".join(str(folder) for folder in (*map(self._in_image, self.search), CONDUIT))

    @property
    def installed(self) -> tuple[Path, ...]:
        """The folders of `search` that are not in `source`."""
        return tuple(folder for folder in self.search if not folder.is_relative_to(self.source))

    def _in_image(self, folder: Path) -> PurePosixPath:
        if folder.is_relative_to(self.source):
            return APP / "source" / folder.relative_to(self.source).as_posix()
        return APP / folder.name


def lay_out(
    folder: Path, *, code: Code, host: Path, settings: HostSettings, requirements: Path, dockerfile: Path
) -> None:
    """Write all that a build reads into `folder`.

    Args:
        folder: an empty folder.
        host: holds the package `pipeline` with the worker host in it.
        requirements: every package pinned, with hashes.
        dockerfile: the one to build with.
    """
    shutil.copyfile(requirements, folder / "requirements.txt")
    shutil.copyfile(dockerfile, folder / "Dockerfile")
    with _archive(folder / "host.tar") as tar:
        _add_tree(tar, host, CONDUIT)
        told = settings.model_dump_json().encode()
        _add(tar, str(SETTINGS), 0o644, io.BytesIO(told), size=len(told))
    # Apart, so that a change of the code does not push the clips and weights that lie beside it once more.
    _write_app(folder / "assets.tar", code, lambda path: not _is_code(path))
    _write_app(folder / "source.tar", code, _is_code)


def _is_code(path: Path) -> bool:
    # A package that takes its version from git has another METADATA in each commit.
    return path.suffix in {".py", ".pyi"} or path.parent.suffix == ".dist-info"


def _write_app(archive: Path, code: Code, wanted: Callable[[Path], bool]) -> None:
    with _archive(archive) as tar:
        _add(tar, str(APP), 0o755)
        _add_tree(tar, code.source, APP / "source", wanted)
        for package in code.installed:
            scripts = package / "bin"  # for this machine's interpreter
            _add_tree(tar, package, APP / package.name, wanted, leave_out=scripts)


def _archive(path: Path) -> tarfile.TarFile:
    return tarfile.open(path, "w", format=tarfile.PAX_FORMAT)


def _add_tree(
    tar: tarfile.TarFile,
    root: Path,
    target: PurePosixPath,
    wanted: Callable[[Path], bool] = lambda path: True,
    *,
    leave_out: Path | None = None,
) -> None:
    """Add the files that are wanted of a folder, and the folders that hold them."""
    kept = [path for path in _files(root) if wanted(path) and leave_out not in path.parents]
    folders = {parent for path in kept for parent in path.relative_to(root).parents}
    _add(tar, str(target), 0o755)
    for relative in sorted(folders - {Path()}):
        _add(tar, str(target / relative.as_posix()), 0o755)
    for path in kept:
        _add_file(tar, path, str(target / path.relative_to(root).as_posix()))


def _files(root: Path) -> Iterator[Path]:
    """The files and links of a folder, in a fixed order; empty folders are left out, as git does."""
    for path in sorted(root.rglob("*")):
        noted = path.name in INSTALLERS_NOTES and path.parent.suffix == ".dist-info"
        cached = not CACHES.isdisjoint(path.relative_to(root).parts)
        if not noted and not cached and (path.is_symlink() or path.is_file()):
            yield path


def _add_file(tar: tarfile.TarFile, path: Path, name: str) -> None:
    if path.is_symlink():
        _add(tar, name, 0o777, link=str(path.readlink()))
        return
    status = path.stat()
    with path.open("rb") as content:
        # git knows of a file's mode only whether it can be run
        _add(tar, name, 0o755 if status.st_mode & 0o100 else 0o644, content, size=status.st_size)


def _add(
    tar: tarfile.TarFile,
    name: str,
    mode: int,
    content: BinaryIO | None = None,
    *,
    size: int = 0,
    link: str = "",
) -> None:
    """Add a file with a content, a link, or a folder."""
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.mode, entry.mtime, entry.size, entry.linkname = mode, EPOCH, size, link
    if content is None:
        entry.type = tarfile.SYMTYPE if link else tarfile.DIRTYPE
    tar.addfile(entry, content)
