"""What is asked, and the only answer that may come: both follow from the words of the question.

The scripted model of any process reads its script out of the question, so that whoever answers
says the same, and whoever checks knows what that is.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from core.generation import ModelError, ModelErrorKind
from core.messages import Message, Role
from fakes.language_model import Fail, Finish, Hang, Say, Script, Step, Wait

_FORM = re.compile(r"storm (\S+): (\d+) words, (\d+) ms apart, then (\w+)")


@dataclass(frozen=True, slots=True)
class Question:
    """One question. `then` is what the model does after its last word."""

    name: str
    words: int
    pause_ms: int
    then: str

    @classmethod
    def drawn(cls, name: str, draw: random.Random) -> Question:
        """A short one mostly; one in ten is long, and a few don't end well."""
        long = draw.random() < 0.1
        words = draw.randrange(60, 120) if long else draw.randrange(3, 45)
        then = draw.choices(["ends", "fails", "hangs"], [0.94, 0.04, 0.02])[0]
        return cls(name, words, draw.choice([10, 20, 40]), then)

    @classmethod
    def in_prompt(cls, messages: tuple[Message, ...]) -> Question:
        """What the last message of a prompt asks for. ValueError where that is no question."""
        asked = next(m.text for m in reversed(messages) if m.role is Role.USER)
        found = _FORM.search(asked)
        if found is None:
            raise ValueError(f"no question of a storm: {asked!r}")
        return cls(found[1], int(found[2]), int(found[3]), found[4])

    @property
    def text(self) -> str:
        """As it is sent."""
        return f"storm {self.name}: {self.words} words, {self.pause_ms} ms apart, then {self.then}"

    @property
    def answer(self) -> str:
        """The whole answer; what a turn shows is a beginning of it."""
        return "".join(self._said())

    def script(self) -> Script:
        """What the model does."""
        steps: list[Step] = []
        for word in self._said():
            steps += [Wait(self.pause_ms / 1000), Say(word)]
        match self.then:
            case "fails":
                steps.append(Fail(ModelError(ModelErrorKind.CONNECTION, "the storm broke it")))
            case "hangs":
                steps.append(Hang())
            case _:
                steps.append(Finish())
        return tuple(steps)

    def _said(self) -> list[str]:
        return [f"{self.name}/{number} " for number in range(self.words)]


def first_call_fails(name: str) -> bool:
    """Whether the first deployment refuses this question before its first word, always."""
    return random.Random(name).random() < 0.1
