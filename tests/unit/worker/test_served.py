"""What a worker host knows of its calls."""

from temporalio.testing import ActivityEnvironment

from pipeline.worker.served import Call, Ledger

INFO = ActivityEnvironment.default_info()


async def test_a_call_is_told_while_it_runs_and_after_it_was_answered() -> None:
    ledger = Ledger()
    first, second = ledger.begun(INFO), ledger.begun(INFO)
    (running,) = await ledger.served(9)
    assert (running.calls, len(running.references), len(running.running)) == (0, 0, 2)
    assert running.running[0].seconds >= running.running[1].seconds >= 0
    ledger.answered(first)
    ledger.ended(first)
    (one,) = await ledger.served(9)
    assert (one.calls, len(one.references), len(one.running)) == (1, 1, 1)
    ledger.failed(second)
    ledger.ended(second)
    (none,) = await ledger.served(9)
    assert (none.calls, none.failures, len(none.references), none.running) == (2, 1, 1, ())


async def test_no_more_calls_are_named_than_are_asked_for() -> None:
    ledger = Ledger()
    calls: list[Call] = [ledger.begun(INFO) for _ in range(5)]
    for call in calls[:3]:
        ledger.answered(call)
        ledger.ended(call)
    (told,) = await ledger.served(1)
    assert (told.calls, len(told.references), len(told.running)) == (3, 1, 1)
