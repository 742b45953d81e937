"""The codes of decisions: the name of every step that may have the last word on an amount.

They stand in trails, in ``run.json`` and in every output, and stay what they are: programs may
rely on them. `docs/reference/decisions.md` lists them beside the scenarios that show them.
"""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "ahead": "Usage grows: the raise lasts for more than one review.",
    "alone": "Lowering a limit alone frees nothing, so it stays.",
    "at least": "The container's own settings (a heap, a buffer pool), a peak from before the "
    "window, or the min of its pod ask for as much.",
    "busy hour": "A share of the hour that is busiest every day or week.",
    "cache": "Page cache that the kernel can take back is left out.",
    "ceiling": "The policy's ceiling.",
    "confirmed": "A small raise of CPU that nothing seen calls for waits for a second review.",
    "covered": "What is declared covers what was seen, so it is not raised.",
    "deadline": "With less CPU a run would not be over when its Job's deadline ends it.",
    "declare": "Nothing is declared now: it is declared, or left to the pod as a whole.",
    "demand": "What the model says at the risk that the policy allows.",
    "direction": "The policy only raises, or only lowers.",
    "few days": "Too few days were observed to lower anything.",
    "floor": "The policy's floor.",
    "gradual": "At most so much less in one run.",
    "hands off": "An autoscaler sets it, or scales on a share of it and its target cannot follow.",
    "headroom": "Room above the highest peak.",
    "held": "A memory limit that has held is not raised, nor one that is filled whatever it is.",
    "keep": "The policy keeps it, or sets none where none is.",
    "killed": "Nothing falls below what an OOM kill says.",
    "lasting": "As much was wanted at an earlier review not long ago.",
    "limit": "No request above a limit that stays.",
    "limit range": "The namespace's LimitRange: its min, max, ratio or default.",
    "no further": "No raise beyond what kills and growth say of the need.",
    "node": "No more than the largest node has.",
    "node risk": "Nodes would run short more often than the policy allows.",
    "nodes": "The nodes have no room for its pods, beside all that runs and the raises before it.",
    "open": "Already proposed, and still right.",
    "pod": "All containers of the pod together: the node, the pod's own amounts, a LimitRange.",
    "probe": "With less CPU a start would take longer than its probe waits.",
    "qos": "Request and limit stay equal.",
    "quota": "The namespace's ResourceQuota has no room, or wants it declared.",
    "ratio": "A multiple of the request.",
    "rejected": "Somebody rejected it, and it has not moved since.",
    "remove": "The policy sets none.",
    "request": "In step with the request.",
    "round": "Up to an amount that a person would write.",
    "scale point": "An autoscaler lets a pod use as much before it adds another one.",
    "settling": "Usage is lower since a few days only.",
    "small": "Too small a change for a restart.",
    "spare": "The loss of the fullest nodes of a group is to leave no pod without room.",
    "start": "No start was seen and the change causes one, or a start or a run needs as much CPU.",
    "throttled": "What a throttled container used is not what it needs.",
    "unknown": "The model cannot tell, and says why.",
    "whole cores": "Cores of its own stay whole, as the policy wants it.",
    "worst pod": "No less than every single pod uses half of its time.",
}
"""What each code means, in one sentence."""
