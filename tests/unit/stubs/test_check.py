"""What `conduit stubs --check` tells an engineer."""

import base64
import zlib

import pytest
from pydantic import BaseModel

from pipeline.contract import render
from pipeline.errors import NotStubs
from pipeline.stubs import check, generate
from pipeline.worker.contract import Contract
from tests.unit.contract.contracts import contract_of


class Clip(BaseModel):
    rate: int


class FasterClip(BaseModel):
    rate: int
    speed: float


def test_stubs_fit_the_contract_they_were_made_from(research_stubs: str, research_contract: Contract) -> None:
    assert check(research_stubs, research_contract) == ()


def test_it_tells_what_changed_and_for_whom() -> None:
    stubs = generate("speaker-id", contract_of(argument=Clip))

    assert render(check(stubs, contract_of(argument=FasterClip))) == [
        "identify",
        "  breaking    input $.speed: is required now: callers that leave it out fail",
    ]


def test_stubs_may_be_formatted_by_the_engineers_own_tools() -> None:
    contract = contract_of(argument=Clip)
    stubs = generate("speaker-id", contract)
    head, _, packed = stubs.partition("CONTRACT = (")
    lines = [line.strip().strip('"') for line in packed.splitlines()]
    joined = "".join(lines).rstrip(")")

    assert check(f"{head}\n\nCONTRACT = '{joined}'\n", contract) == ()


def recording(data: bytes, digest: str = "sha256:0") -> str:
    return f'CONTRACT_DIGEST = "{digest}"\nCONTRACT = "{base64.b64encode(data).decode()}"\n'


EMPTY = Contract(activities=()).model_dump_json().encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "def f(:",
        "\x00",
        "CONTRACT = 'x'",
        'CONTRACT_DIGEST = "x"\nCONTRACT = "not base64!"',
        recording(b"not zlib"),
        recording(zlib.compress(b"not json")),
        recording(zlib.compress(b"{}")),
        recording(zlib.compress(EMPTY)[:-6]),
        recording(zlib.compress(bytes(200_000_000))),
        recording(zlib.compress(EMPTY), digest="sha256:another"),
    ],
    ids=lambda text: text[:30],
)
def test_what_is_no_stub_module_is_refused(text: str) -> None:
    with pytest.raises(NotStubs):
        check(text, Contract(activities=()))


def test_the_module_is_never_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    trace = tmp_path_factory.mktemp("run") / "trace"
    contract = Contract(activities=())

    assert check(f"open({str(trace)!r}, 'w')\n{generate('x', contract)}", contract) == ()
    assert not trace.exists()
