"""Findings in words: what became incompatible, and for whom."""

from pipeline.contract.findings import NOT_SET, Finding, Kind, Side

ACTIVITY = {
    Kind.ACTIVITY_GONE: "the activity is gone: workflows that call it fail",
    Kind.ACTIVITY_NEW: "the activity is new",
}
INPUT = {
    Kind.ARGUMENT: "the activity took {sent} argument and takes {taken} now: every caller fails",
    Kind.FIELD_NEW: "is new and optional",
    Kind.FIELD_IGNORED: "is gone: what callers send is ignored",
    Kind.FIELD_REQUIRED: "is required now: callers that leave it out fail",
    Kind.FIELD_RENAMED: "is gone and {taken} of the same type is required now, probably renamed: "
    "callers that send the old name fail",
    Kind.FIELD_REFUSED: "is refused now: callers that send it fail",
    Kind.UNKNOWN_FIELDS: "unknown fields were ignored and no longer are: callers that send any may fail",
    Kind.TYPE: "{sent} is no longer accepted, only {taken}: callers that send it fail",
    Kind.NULL: "null is no longer accepted: callers that send it fail",
    Kind.VALUE: "{sent} is no longer accepted, only {taken}: callers that send it fail",
    Kind.CHOICE: "any {sent} was accepted and only {taken} is now: callers that send others fail",
    Kind.LIMIT: "`{name}` was {sent} and is {taken} now: callers that send values beyond it fail",
    Kind.UNDECIDED: "`{name}` was {sent} and is {taken} now: "
    "whether all that callers send still fits cannot be decided, so it counts as breaking",
    Kind.REPEATED: "differs as {taken} does: callers fail here too",
    Kind.RELAXED: "takes more than before",
}
OUTPUT = {
    Kind.RESULT_GONE: "there is no result any more: readers fail",
    Kind.RESULT_NEW: "there is a result now where there was none",
    Kind.FIELD_NEW: "is new",
    Kind.FIELD_GONE: "is gone: readers that use it fail",
    Kind.FIELD_OPTIONAL: "may be missing now: readers that need it fail",
    Kind.FIELD_RENAMED: "is gone and {taken} of the same type is new, probably renamed: "
    "readers that use the old name fail",
    Kind.FIELD_REFUSED: "is new, and readers refuse fields that they do not know",
    Kind.UNKNOWN_FIELDS: "may have other fields now, and readers refuse fields that they do not know",
    Kind.TYPE: "may be {sent} now: readers that expect {taken} fail",
    Kind.NULL: "may be null now: readers that expect a value fail",
    Kind.VALUE: "may be {sent} now: readers that know only {taken} fail",
    Kind.CHOICE: "may be any {sent} now: readers that know only {taken} fail",
    Kind.LIMIT: "`{name}` was {taken} and is {sent} now: readers that rely on it fail",
    Kind.UNDECIDED: "`{name}` was {taken} and is {sent} now: "
    "whether readers still accept all of it cannot be decided, so it counts as breaking",
    Kind.REPEATED: "differs as {taken} does: readers fail here too",
    Kind.RELAXED: "is narrower than before",
}


def words(finding: Finding, side: Side | None) -> str:
    """One sentence for people, without the path."""
    templates = {"input": INPUT, "output": OUTPUT}[side] if side else ACTIVITY
    sent = " or ".join(finding.sent) or NOT_SET
    return templates[finding.kind].format(name=finding.name, sent=sent, taken=finding.taken)


def counted(count: int, what: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{count} {what}{'' if count == 1 else 's'}"
