"""The folder that an image is built from: two archives, the pinned requirements and a Dockerfile.

Equal inputs give equal bytes, whoever builds and whenever: the archives are sorted and carry no owner and no
time, so a layer that did not change is neither built nor pushed again.
"""

import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

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
        _add(tar, str(SETTINGS), 0o644, settings.model_dump_json().encode())
    with _archive(folder / "source.tar") as tar:
        _add(tar, str(APP), 0o755, None)
        _add_tree(tar, code.source, APP / "source")
        for package in code.installed:
            _add_tree(tar, package, APP / package.name, leave_out=frozenset({"bin"}))


def _archive(path: Path) -> tarfile.TarFile:
    return tarfile.open(path, "w", format=tarfile.PAX_FORMAT)


def _add_tree(
    tar: tarfile.TarFile, root: Path, target: PurePosixPath, *, leave_out: frozenset[str] = frozenset()
) -> None:
    """Add a folder, without those of its entries that are named in `leave_out`."""
    _add(tar, str(target), 0o755, None)
    for path in _walk(root):
        relative = path.relative_to(root)
        if relative.parts[0] not in leave_out:
            _add_path(tar, path, str(target / relative.as_posix()))


def _walk(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        noted = path.name in INSTALLERS_NOTES and path.parent.suffix == ".dist-info"
        if not noted and CACHES.isdisjoint(relative.parts):
            yield path


def _add_path(tar: tarfile.TarFile, path: Path, name: str) -> None:
    if path.is_symlink():
        _add(tar, name, 0o777, None, link=str(path.readlink()))
    elif path.is_dir():
        _add(tar, name, 0o755, None)
    else:
        # git knows of a file's mode only whether it can be run
        _add(tar, name, 0o755 if path.stat().st_mode & 0o100 else 0o644, path.read_bytes())


def _add(tar: tarfile.TarFile, name: str, mode: int, content: bytes | None, *, link: str = "") -> None:
    entry = tarfile.TarInfo(name.lstrip("/"))
    entry.mode, entry.mtime, entry.linkname = mode, EPOCH, link
    if content is not None:
        entry.size = len(content)
    else:
        entry.type = tarfile.SYMTYPE if link else tarfile.DIRTYPE
    tar.addfile(entry, io.BytesIO(content or b""))
