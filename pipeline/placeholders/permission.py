"""Where a placeholder may answer without being asked for by name. Pure."""

from pipeline.deployments import Deployment
from pipeline.errors import PlaceholderRefused
from pipeline.models import is_placeholder


def refuse_unasked(seen: Deployment | None, namespace: str, *, local: bool, asked_for: str | None) -> None:
    """Refuse a placeholder in production, unless it was asked for by the namespace's name.

    Production is a Temporal server that is not on this machine, and any deployment whose real algorithm took
    calls already: there, made-up answers would go to people who count on true ones.

    Raises:
        PlaceholderRefused: it was not asked for, or for another namespace.
    """
    reason = _production(seen, local=local)
    if asked_for is not None and asked_for != namespace:
        raise PlaceholderRefused(
            f"The placeholder was asked for in namespace {asked_for[:80]!r}.",
            why=f"TEMPORAL_NAMESPACE and the profile in use say {namespace!r}.",
            now="Correct one of the two.",
        )
    if reason and asked_for is None:
        raise PlaceholderRefused(
            "A placeholder would answer in production.",
            why=reason,
            now=f"If it should, ask for it by name: --in-production {namespace}",
        )


def _production(seen: Deployment | None, *, local: bool) -> str:
    real = (
        [v.build_id for v in seen.versions if v.was_current and not is_placeholder(v.build_id)]
        if seen
        else []
    )
    if seen and real:
        return f"The real algorithm is there already: {seen.name} had {real[-1]} as its Current build."
    return "" if local else "The Temporal server is not on this machine."
