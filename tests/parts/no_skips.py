"""`--no-skips`: where every part is installed, a skipped test is a failure and not a matter of course."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail if any test is skipped")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _unwanted(session.config) and session.exitstatus in (
        pytest.ExitCode.OK,
        pytest.ExitCode.NO_TESTS_COLLECTED,
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    unwanted = _unwanted(config)
    if unwanted:
        terminalreporter.section("skipped, though --no-skips was given", red=True)
        for nodeid in unwanted:
            terminalreporter.line(nodeid)


def _unwanted(config: pytest.Config) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not config.getoption("--no-skips"):
        return []
    return [report.nodeid for report in reporter.stats.get("skipped", [])]
