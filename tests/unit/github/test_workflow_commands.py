"""What the runner is told, read as the runner reads it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.github.workflow_commands import annotation, inert, outputs, write_outputs

UNTRUSTED = st.text() | st.text(alphabet="%:,\r\n=0ADd2C3")


def unescape(text: str, *, is_property: bool) -> str:
    """As actions/runner does it."""
    if is_property:
        text = text.replace("%3A", ":").replace("%2C", ",")
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


@given(message=UNTRUSTED, file=UNTRUSTED, title=UNTRUSTED)
def test_an_annotation_is_one_line_that_reads_back(message: str, file: str, title: str) -> None:
    line = annotation("error", message, file=file, line=7, title=title)
    assert "\n" not in line
    assert "\r" not in line
    _, properties, data = line.split("::", 2)
    assert unescape(data, is_property=False) == message
    level, _, given_properties = properties.partition(" ")
    read = dict(pair.split("=", 1) for pair in given_properties.split(","))
    assert level == "error"
    assert {name: unescape(value, is_property=True) for name, value in read.items()} == {
        "file": file,
        "line": "7",
        "title": title,
    }


def test_an_annotation_without_a_place() -> None:
    assert annotation("warning", "50% done\nnow") == "::warning::50%25 done%0Anow"


def test_a_log_cannot_end_the_stop_that_it_cannot_guess() -> None:
    first, second = (inert("::add-mask::x\n::set-output name=a::b").splitlines() for _ in range(2))
    assert first[0].startswith("::stop-commands::")
    assert first[-1] == f"::{first[0].removeprefix('::stop-commands::')}::"
    assert first[0] != second[0]


def read_outputs(text: str) -> dict[str, str]:
    """As actions/runner reads the file: a name and a delimiter, then all up to the delimiter's line."""
    read, lines = {}, iter(text.split("\n"))
    for head in lines:
        if not head:
            continue
        name, delimiter = head.split("<<", 1)
        value = []
        for line in lines:
            if line == delimiter:
                break
            value.append(line)
        read[name] = "\n".join(value)
    return read


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), UNTRUSTED, max_size=4))
def test_outputs_read_back(values: dict[str, str]) -> None:
    assert read_outputs(outputs(values, "an-unlikely-line")) == values


def test_outputs_are_appended_with_a_delimiter_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_text("earlier=1\n")
    write_outputs(path, {"build-id": "a\nforged<<x\nevil\nx"})
    write_outputs(path, {"image": "b"})
    earlier, rest = path.read_text().split("\n", 1)
    assert earlier == "earlier=1"
    assert read_outputs(rest) == {"build-id": "a\nforged<<x\nevil\nx", "image": "b"}
    heads = [line for line in rest.splitlines() if line.startswith(("build-id<<", "image<<"))]
    assert len({head.partition("<<")[2] for head in heads}) == 2


@pytest.mark.parametrize("name", ["", "A", "a b", "a\nb", "a=b", "a<<b"])
def test_a_name_is_checked(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name"):
        outputs({name: "x"}, "d")


def test_a_value_that_holds_the_delimiter_is_refused() -> None:
    with pytest.raises(ValueError, match="delimiter"):
        outputs({"a": "x\nd\ny"}, "d")
