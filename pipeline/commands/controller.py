"""`conduit controller`: hosts this machine's releases until it is stopped."""

import asyncio
import signal

from pipeline.commands.session import Session
from pipeline.rollout.controller import Say, serve

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


async def controller(session: Session, say: Say) -> None:
    """Host releases until Ctrl-C, SIGTERM or the terminal's end; they go on when it is started again."""
    stop = asyncio.Event()
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = await session.connect()
    await serve(client, session.every_runtime(), session.home, say, stop)
    say("the controller stopped; releases go on when it is started again")
