"""The words of the project in plain words; every text for readers takes them from here."""

from __future__ import annotations

GLOSSARY = {
    "change worth making": "A smaller change would restart pods for nothing, so it is left out.",
    "confidence": "How much the history says: high with many days of usage, low with few.",
    "container-week": "One container watched for one week: 80 containers in a week are 80 of them.",
    "day's value": "Of memory the highest usage of any pod that day; of CPU the level that usage "
    "exceeded in 5 % of the day.",
    "demand": "What a container is expected to need until the next review, at a stated risk.",
    "held": "An amount that stays although usage speaks for another one; the reason stands beside "
    "it.",
    "horizon": "The time until the next review, 7 days unless set otherwise.",
    "limit": "The most a container may use. Above its memory limit it is killed; at its CPU limit "
    "it is slowed down.",
    "margin from the past": "How far expectations of earlier weeks were off in this very cluster; "
    "the amount is set so that the stated risk comes true (also called calibration).",
    "OOM kill": "The kernel ends a container that needs more memory than it may have.",
    "p95": "The level that usage stays below 95 % of the time; p50 is the middle, p99 the top 1 %.",
    "pressure": "Time in which work stood still because CPU or memory was short (PSI).",
    "requests": "What the scheduler sets aside on a node for a container.",
    "shift": "Usage moved to another level and stayed there; what was before hardly counts.",
    "skipped": "A container without a recommendation, such as one without usage in the window.",
    "stated risk": "For memory, the chance that the peak until the next review is higher than the "
    "amount; for CPU, the share of the time in which usage is higher.",
    "step": "The time between two samples, such as 5 minutes.",
    "throttled": "Slowed down at the CPU limit, so that usage shows what was allowed and not what "
    "was needed.",
    "trail": "The steps from usage to an amount, each with its reason.",
    "walk-forward test": "The models see only the past of some day, and are judged on the week "
    "after it.",
    "working set": "The memory that the kernel cannot take back: what counts against the limit.",
}
"""Each term and what it means, in one or two sentences."""

STEPS = {
    "ahead": "it grows, and the raise is to last",
    "alone": "lowering it alone frees nothing",
    "at least": "what its own settings ask for, or a peak from before the window",
    "budget": "share of the cluster's risk",
    "bursty": "how it moves",
    "busy hour": "the busiest hour that comes again",
    "cache": "page cache left out",
    "calibrate": "margin from the past",
    "ceiling": "not above the most allowed",
    "confirmed": "a small raise waits for a second review",
    "covered": "what is declared is enough",
    "daily": "how it moves",
    "deadline": "what a run needs to end in time",
    "declare": "nothing is declared now",
    "demand": "the risk that the policy allows",
    "direction": "only the way that the policy allows",
    "few days": "too few days to lower it",
    "floor": "not below the least allowed",
    "gradual": "not too much at once",
    "growth": "it grows",
    "hands off": "left to the autoscaler",
    "headroom": "room above the peak",
    "held": "held",
    "image": "a new image",
    "keep": "kept",
    "killed": "above where it was killed",
    "lasting": "not below what was wanted lately",
    "leak": "it climbs through each pod's life",
    "limit": "in step with the limit",
    "limit range": "within the namespace's LimitRange",
    "no further": "not beyond what kills and growth say",
    "node": "not more than a node has",
    "node risk": "so that nodes run short no more often than allowed",
    "nodes": "as far as the nodes have room",
    "open": "as it is proposed already",
    "outlook": "what next week may bring",
    "p95": "high usage of a typical day",
    "peak": "highest usage",
    "percentile": "high usage of all samples",
    "pod": "all containers of the pod together",
    "probe": "what a start needs before its probe gives up",
    "qos": "the pod's class stays",
    "quota": "within the namespace's quota",
    "ratio": "a multiple of the request",
    "rejected": "somebody rejected it",
    "remove": "removed",
    "request": "not below the request",
    "round": "round amount",
    "scale point": "what a pod uses before another one is added",
    "settling": "lower since a few days only",
    "shift": "usage moved",
    "small": "too small a change for a restart",
    "spare": "room for the loss of a node",
    "start": "what a start needs",
    "steady": "how it moves",
    "throttled": "above where it was slowed down",
    "unknown": "the model cannot tell",
    "weekly": "how it moves",
    "whole cores": "whole cores, as the policy wants",
    "worst pod": "not below what a single pod needs",
}
"""The steps of a trail in plain words; a step that is not here goes by its own name."""


def step_words(name: str) -> str:
    """What a step of a trail does, in plain words."""
    return STEPS.get(name, name)
