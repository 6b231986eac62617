"""What is made visible must have been blessed: the verdict in a commit's record decides, or a person's reason.

Example usage:
>>> refusal({"blessed": True})
>>> refusal({"blessed": False, "gate": {"reasons": [{"id": "NOT_BLESSED", "sentence": "ndcg@10 0.031 < 0.034"}]}})
('NOT_BLESSED', 'ndcg@10 0.031 < 0.034')
"""

from collections.abc import Mapping
from typing import Any

from recommender.errors import GateError
from recommender.store import Commit


def refusal(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the id and the sentence of why a commit may not be made visible; None if it may."""
    if record.get("blessed"):
        return None
    reasons = record.get("gate", {}).get("reasons", ())
    if not reasons:
        return "NOT_BLESSED", "no gate has judged this model: run stage2 again"
    return reasons[0]["id"], "; ".join(reason["sentence"] for reason in reasons)


def check_blessed(commit: Commit, override: str | None) -> dict[str, Any]:
    """Refuse what is not blessed, unless somebody has a reason.

    Args:
        commit: of the stage that judges.
        override: the reason of the person who overrides the gate, None if nobody does.

    Returns:
        What the record of the stage that makes it visible says of that; empty where it is blessed.

    Raises:
        GateError: it is not blessed, and nobody overrides that.
    """
    found = refusal(commit.record)
    if found is None:
        return {}
    if override is None:
        kept = f"the model is kept as commit {commit.number} of {commit.stage}, and what is live stays"
        raise GateError(found[0], f'{found[1]}; {kept}; --override-gate "REASON" publishes it all the same')
    return {"gate_overridden": {"reason": override, "id": found[0], "sentence": found[1]}}
