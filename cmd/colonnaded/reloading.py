"""What a running node takes over from its settings when they are read again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from adapters.grpc.chain import Chain
from colonnaded import gateway_policies, policies
from colonnaded.caches import ANSWERING, answers_about
from colonnaded.secrets import MissingSecret
from colonnaded.settings import Settings, SettingsError
from core.errors import FieldViolation, InvalidInput
from services.configuration import Reloaded
from services.models.deployments import Deployments, LiveDeployments
from services.models.lanes import Lanes
from services.models.response_cache import ResponseCache
from services.models.spending import BudgetBook
from services.turns.admission import Admission

LIVE = (
    "deployments",
    "routes",
    "routing",
    "retries",
    "breaker",
    "hedging",
    "budgets",
    "turns.max_running",
    "turns.max_running_per_tenant",
    "server.max_concurrent_calls",
    "server.default_deadline_seconds",
    "server.max_deadline_seconds",
)
"""The keys, and tables, that count without a restart."""
Snapshot = Callable[[Settings], Deployments]


class Reloading:
    """Reads the settings again. Either all of them are sound and count, or none does.

    `reread` is the way to the settings that the process was started with: the same file, the
    same environment, the same command line.
    """

    def __init__(
        self,
        settings: Settings,
        snapshot: Snapshot,
        live: LiveDeployments,
        lanes: Lanes,
        answers: ResponseCache,
        budgets: BudgetBook,
        admission: Admission,
        chain: Chain,
    ) -> None:
        self._started = self._current = settings
        self._snapshot = snapshot
        self._live = live
        self._lanes = lanes
        self._answers = answers
        self._budgets = budgets
        self._admission = admission
        self._chain = chain

    async def reload(self, reread: Callable[[], Settings]) -> Reloaded:
        """Take over what has changed. Raises InvalidInput with every problem; then nothing did."""
        try:
            settings = await asyncio.to_thread(reread)
            snapshot = self._snapshot(settings)
        except (SettingsError, MissingSecret, OSError, ValueError) as error:
            raise _refusal(error) from error
        applied = [key for key in _changed(self._current, settings) if _counts_now(key)]
        restart = [key for key in _changed(self._started, settings) if not _counts_now(key)]
        if any(key.partition(".")[0] in ANSWERING for key in applied):
            self._answers.clear(answers_about(settings))
        self._take_over(settings, snapshot)
        return Reloaded(tuple(applied), tuple(restart))

    def _take_over(self, settings: Settings, snapshot: Deployments) -> None:
        """Everything between two awaits: nobody ever sees half of it."""
        self._current = settings
        self._live.swap(snapshot)
        known = snapshot.catalog.deployments.keys()
        self._lanes.adopt(gateway_policies.resilience_policy(settings), known)
        self._budgets.adopt(gateway_policies.budget_rules(settings))
        self._admission.adopt(policies.turn_limits(settings))
        self._chain.adopt(policies.call_limits(settings))


def _counts_now(key: str) -> bool:
    return any(key == each or key.startswith(f"{each}.") for each in LIVE)


def _changed(old: Settings, new: Settings) -> list[str]:
    """The keys with another value, in order. Secrets are compared by their references."""
    before = dict(_flat("", old.model_dump(mode="json")))
    after = dict(_flat("", new.model_dump(mode="json")))
    keys = sorted(before.keys() | after.keys())
    return [key for key in keys if before.get(key, _NOTHING) != after.get(key, _NOTHING)]


_NOTHING = object()


def _flat(prefix: str, value: object) -> Iterator[tuple[str, object]]:
    if not isinstance(value, Mapping):
        yield prefix, value
        return
    for key, item in value.items():
        yield from _flat(f"{prefix}.{key}" if prefix else str(key), item)


def _refusal(error: Exception) -> InvalidInput:
    problems = error.problems if isinstance(error, SettingsError) else [str(error)]
    return InvalidInput([_violation(problem) for problem in problems])


def _violation(problem: str) -> FieldViolation:
    """A problem's key and its words, as the settings tell them: `key: words`."""
    key, separator, words = problem.partition(": ")
    known = separator and " " not in key
    return FieldViolation(key if known else "settings", words if known else problem)
