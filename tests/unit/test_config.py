from datetime import timedelta

import jsonschema_rs
import pytest

from pipeline import config
from pipeline.config import Config
from pipeline.errors import ConduitError, InvalidAlgorithmName, InvalidValue, NotConfigured, UnknownKey
from pipeline.options.table import format_duration, parse_duration

NAMED = '[tool.conduit]\nalgorithm = "speaker-id"\n'


def test_the_smallest_table_names_the_algorithm_only() -> None:
    parsed = config.parse(NAMED)
    assert parsed.algorithm == "speaker-id"
    assert parsed.activities == ()
    assert parsed.setup is None
    assert parsed.runtime == "process"
    assert parsed.test == ("python", "-m", "pytest")


def test_every_key_is_read() -> None:
    parsed = config.parse(
        NAMED
        + 'activities = ["speaker_id.activities"]\nsetup = "speaker_id.model:load"\nreplicas = 2\n'
        + 'test = []\nstart-timeout = "90s"\ngrace = "500ms"\nmax-concurrent-activities = 4\n'
    )
    assert parsed.activities == ("speaker_id.activities",)
    assert parsed.setup == "speaker_id.model:load"
    assert parsed.replicas == 2
    assert parsed.test == ()
    assert parsed.start_timeout == timedelta(seconds=90)
    assert parsed.grace == timedelta(milliseconds=500)
    assert parsed.max_concurrent_activities == 4


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400), ("0s", 0)],
)
def test_durations_have_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "90", "s", "-1s", "1 s", "1s ", "1s\n", "1w", "٣s", "9" * 400 + "d", 90, None]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    "pyproject",
    [
        "",
        "[tool.other]",
        "tool = 3",
        "[tool]\nconduit = 3",
        "[[tool.conduit]]\nalgorithm = 'a'",
        "[tool.conduit\n",
        "\x00",
    ],
)
def test_a_file_without_the_table_is_not_configured(pyproject: str) -> None:
    with pytest.raises(NotConfigured) as raised:
        config.parse(pyproject)
    assert raised.value.now


@pytest.mark.parametrize(
    ("line", "error", "why"),
    [
        ("replica = 2", UnknownKey, "Did you mean 'replicas'?"),
        ("start_timeout = '1s'", UnknownKey, "Did you mean 'start-timeout'?"),
        ("zzz = 1", UnknownKey, "The keys are: activities, algorithm,"),
        ("replicas = 0", InvalidValue, "greater than or equal to 1"),
        ("replicas = 'two'", InvalidValue, "valid integer"),
        ("replicas = '2'", InvalidValue, "valid integer"),
        ("replicas = true", InvalidValue, "valid integer"),
        ("own-queue = 1", InvalidValue, "valid boolean"),
        ("placeholder = 'yes'", InvalidValue, "valid boolean"),
        ("checkpoint-store = 'sftp://u:pw@h/d'", InvalidValue, "CHECKPOINT_STORE"),
        ("docker.cpus = '1'", InvalidValue, "valid number"),
        ("release.steps = [{ramp = '10', for = '1s'}]", InvalidValue, "valid number"),
        ("activities = ['../evil']", InvalidValue, "is not a module's name"),
        ("activities = ['a..b']", InvalidValue, "is not a module's name"),
        ("setup = 'model.load'", InvalidValue, "module:function"),
        ("setup = 'model:load()'", InvalidValue, "module:function"),
        ("grace = 30", InvalidValue, "a number and a unit"),
        ("runtime = 'lambda'", InvalidValue, "process"),
        ("test = ['']", InvalidValue, "at least 1 character"),
        ("test = 'pytest'", InvalidValue, "It should be a list"),
        ("docker = 3", InvalidValue, "It should be a table"),
        ("docker.cpus = inf", InvalidValue, "finite"),
        ("release.max-slowdown = inf", InvalidValue, "finite"),
        ("start-timeout = '0s'", InvalidValue, "greater than 0"),
        ("gates.timeout = '0s'", InvalidValue, "greater than 0"),
        ("gates.call-timeout = '0s'", InvalidValue, "greater than 0"),
        ("memory = '1g'", UnknownKey, "It is a key of [tool.conduit.docker]."),
    ],
)
def test_a_value_that_cannot_be_used_is_explained(line: str, error: type[ConduitError], why: str) -> None:
    with pytest.raises(error) as raised:
        config.parse(NAMED + line)
    assert why in raised.value.why
    assert line.split(" ", maxsplit=1)[0].rpartition(".")[2] in raised.value.what
    assert raised.value.now


@pytest.mark.parametrize(
    ("table", "line", "error", "why"),
    [
        ("docker", "memroy = '1g'", UnknownKey, "Did you mean 'memory'?"),
        ("docker", "env_file = 'x'", UnknownKey, "Did you mean 'env-file'?"),
        ("docker", "replicas = 2", UnknownKey, "It is a key of [tool.conduit]."),
        ("docker", "zzz = 1", UnknownKey, "The keys are: cpus, env-file,"),
        ("docker", "memory = '1 GB'", InvalidValue, "pattern"),
        ("docker", "gpus = 0", InvalidValue, "greater than or equal to 1"),
        ("docker", "networks = ['ok', 'no/t']", InvalidValue, "pattern"),
        ("release", "min-calls = 0", InvalidValue, "greater than or equal to 1"),
        ("release", "on-inconclusive = 'promote'", InvalidValue, "'hold' or 'go-on'"),
        ("release", "watched = '1s'", UnknownKey, "'watch'"),
        ("image", "base = 'a b'", InvalidValue, "pattern"),
        ("image", "dockerfile = '../Dockerfile'", InvalidValue, "is not a path inside the repo"),
        ("image", "dockerfile = '/etc/passwd'", InvalidValue, "is not a path inside the repo"),
    ],
)
def test_what_is_wrong_in_a_table_below_is_told_by_that_tables_name(
    table: str, line: str, error: type[ConduitError], why: str
) -> None:
    with pytest.raises(error) as raised:
        config.parse(f"{NAMED}[tool.conduit.{table}]\n{line}")
    assert why in raised.value.why
    assert f"[tool.conduit.{table}]" in raised.value.what
    assert line.split(" ", maxsplit=1)[0].rpartition(".")[2] in raised.value.what


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (
            "{for = '1s', rampp = 3}",
            ("[tool.conduit.release.steps[1]] has no key 'rampp'.", "Did you mean 'ramp'?"),
        ),
        (
            "{for = '1s', ramp = 'x'}",
            ("[tool.conduit.release.steps[1]] has a value for 'ramp'", "valid number"),
        ),
        (
            "{for = '1s', ramp = 100}",
            ("[tool.conduit.release.steps[1]] has a value for 'ramp'", "less than 100"),
        ),
        ("3", ("[tool.conduit.release] has a value for 'steps[1]'", "It should be a table")),
        ("{ramp = 1}", ("[tool.conduit.release.steps[1]] lacks the key 'for'.", "")),
    ],
)
def test_what_is_wrong_in_a_list_of_tables_is_told_by_its_place(step: str, words: tuple[str, str]) -> None:
    with pytest.raises(ConduitError) as raised:
        config.parse(f"{NAMED}[tool.conduit.release]\nsteps = [{{ramp = 1, for = '1s'}}, {step}]")
    assert words[0] in raised.value.what
    assert words[1] in raised.value.why


@pytest.mark.parametrize("text", ["0s", "500ms", "90s", "2m", "36h", "1d"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    duration = parse_duration(text)
    assert isinstance(duration, timedelta)
    assert format_duration(duration) == text


def test_a_configuration_survives_json() -> None:
    parsed = config.parse(
        NAMED + "grace = '90s'\n[tool.conduit.docker]\nmax-restarts = 5\nmemory = '2g'\nnetworks = ['a']\n"
    )
    assert parsed.docker.max_restarts == 5
    assert Config.model_validate_json(parsed.model_dump_json()) == parsed


def test_a_table_without_the_name_says_so() -> None:
    with pytest.raises(InvalidValue, match="algorithm"):
        config.parse("[tool.conduit]\nreplicas = 2")


@pytest.mark.parametrize("name", ["", "Speaker", "a_b", "-a", "a-", "a/b", "a b", "a\\n", "ä", "a" * 64])
def test_a_name_that_some_system_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(InvalidAlgorithmName):
        config.parse(f'[tool.conduit]\nalgorithm = "{name}"')


def test_the_schema_takes_what_is_parsed_and_refuses_what_is_not() -> None:
    schema = jsonschema_rs.validator_for(config.json_schema())
    assert schema.is_valid({"algorithm": "speaker-id", "start-timeout": "90s"})
    assert not schema.is_valid({"algorithm": "speaker-id", "start_timeout": "90s"})
    assert not schema.is_valid({"algorithm": "Speaker"})
    assert not schema.is_valid({"algorithm": "speaker-id", "grace": "30"})


@pytest.mark.parametrize(
    ("calls", "slots", "of_batch"), [(100, 0.5, 50), (2, 0.9, 1), (2, 0.01, 1), (10, 0.99, 9), (3, 0.5, 1)]
)
def test_batch_calls_get_their_share_of_the_slots_and_never_all(
    calls: int, slots: float, of_batch: int
) -> None:
    asked = f"max-concurrent-activities = {calls}\nrelease.offline-first = {{ slots = {slots} }}\n"
    assert config.parse(NAMED + asked).batch_slots == of_batch


def test_without_offline_first_there_is_no_batch_queue() -> None:
    assert config.parse(NAMED).batch_slots == 0


def test_one_call_at_once_leaves_no_room_for_a_batch_queue() -> None:
    with pytest.raises(InvalidValue, match="release") as refused:
        config.parse(NAMED + "max-concurrent-activities = 1\nrelease.offline-first = {}\n")
    assert "max-concurrent-activities of 2 or more" in refused.value.why
