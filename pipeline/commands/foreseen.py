"""What an error that was not raised by us means to the person who ran the command."""

import errno

from temporalio.service import RPCError

from pipeline.deployments import explain
from pipeline.errors import ConduitError, DestinationNotWritable

REFUSING = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.ENOTDIR, errno.EEXIST, errno.EPERM, errno.EROFS}
)
"""How a file system says that nothing can be written there."""


def foreseen(error: BaseException) -> ConduitError | None:
    """The error of ours that an error is or stands for: Temporal's client's, or the file system's."""
    if isinstance(error, ConduitError):
        return error
    if isinstance(error, RPCError):
        return explain(error)
    if isinstance(error, OSError) and error.errno in REFUSING:
        return DestinationNotWritable(
            f"{error.filename or 'The output'} cannot be written.",
            why=error.strerror or "",
            now="Make room or grant the permission; CONDUIT_HOME names another folder for builds.",
        )
    return None
