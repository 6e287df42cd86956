"""What was heard of a generation whose process may be lost, and how it goes on elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from core.generation import RefusalDelta, TextDelta, ToolCallDelta
from core.ports.model_gateway import (
    GatewayEvent,
    GenerationOrder,
    Restarted,
    Selected,
    Switched,
)


@dataclass(slots=True)
class Heard:
    """The answer so far. `lost` is the attempt whose process is gone, until another is heard."""

    asked: Selected | None = None
    lost: Selected | None = None
    text: list[str] = field(default_factory=list)
    bound: bool = False
    """Nobody else can go on: a tool was proposed, or the model has declined."""

    def note(self, event: GatewayEvent) -> None:
        """This came."""
        match event:
            case Selected():
                self.asked, self.lost = event, None
            case TextDelta(text):
                self.text.append(text)
            case RefusalDelta() | ToolCallDelta():
                self.bound = True
            case Restarted():
                self.text.clear()
                self.bound = False

    def switched(self, event: GatewayEvent) -> Switched | None:
        """What is told before this event, where it is the first of another process."""
        if self.lost is None or not isinstance(event, Selected):
            return None
        lost = self.lost
        return Switched(lost.deployment.name, event.deployment.name, lost.attempt, "connection")

    def rest(self, order: GenerationOrder) -> GenerationOrder | None:
        """What is to be asked of another process; None where none can go on.

        Words that readers have seen stand: the next one goes on from them, in a grounded answer
        of the same tier at least. A schema's grammar begins at the beginning.
        """
        if self.bound:
            return None
        self.lost = self.asked or self.lost
        if not self.text:
            return order
        if order.options.response_schema or order.only_extractive:
            return None
        least = order.minimum_tier
        if order.context and self.lost is not None:
            least = max(self.lost.deployment.tier, least or self.lost.deployment.tier)
        begun = order.begun + "".join(self.text)
        return replace(order, begun=begun, minimum_tier=least, accepts_restart=False)
