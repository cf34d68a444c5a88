"""The docker client's buildx plugin: the machine's own, else the one that `.ci/install-parts` unpacked."""

from pathlib import Path

from tests.parts.cache import cache_folder

# Where the docker client looks beside its own configuration folder.
PLUGIN_FOLDERS = (
    Path("/usr/local/lib/docker/cli-plugins"),
    Path("/usr/local/libexec/docker/cli-plugins"),
    Path("/usr/lib/docker/cli-plugins"),
    Path("/usr/libexec/docker/cli-plugins"),
)


def buildx_plugin() -> Path | None:
    """The plugin's program, or None."""
    unpacked = cache_folder() / "buildx/usr/libexec/docker/cli-plugins"
    found = (folder / "docker-buildx" for folder in (unpacked, *PLUGIN_FOLDERS))
    return next((plugin for plugin in found if plugin.exists()), None)


def docker_config(folder: Path) -> Path:
    """Make a fresh configuration folder, as `DOCKER_CONFIG` takes it, with the plugin in it."""
    plugin = buildx_plugin()
    if plugin is not None:
        (folder / "cli-plugins").mkdir()
        (folder / "cli-plugins" / "docker-buildx").symlink_to(plugin)
    return folder
