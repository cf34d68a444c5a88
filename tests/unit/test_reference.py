"""The pages that are made from the code, and what they are made of."""

from collections import Counter
from pathlib import Path

import pytest

from pipeline import errors, reference

DOCS = Path(__file__).parents[2] / "docs"
RESERVED = {0, 1, 2, 130}


@pytest.mark.parametrize("page", reference.PAGES)
def test_the_committed_page_is_current(page: str) -> None:
    committed = (DOCS / page).read_text(encoding="utf-8")
    assert committed == reference.PAGES[page](), "run `python -m pipeline.reference` and commit docs/"


def test_writing_makes_every_page(tmp_path: Path) -> None:
    reference.write(tmp_path)
    assert {page.name for page in tmp_path.iterdir()} == set(reference.PAGES)


def test_no_two_errors_have_one_exit_code() -> None:
    uses = Counter(kind.exit_code for kind in errors.all_errors().values())
    assert [code for code, count in uses.items() if count > 1] == []


def test_no_error_takes_a_reserved_exit_code_or_one_that_a_shell_gives() -> None:
    codes = {kind.exit_code for kind in errors.all_errors().values()}
    assert not codes & RESERVED
    assert max(codes) < 126


def test_every_error_says_in_its_docstring_what_it_means() -> None:
    assert [
        name for name, kind in errors.all_errors().items() if "__doc__" not in vars(kind) or not kind.__doc__
    ] == []
