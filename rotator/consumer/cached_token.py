"""What a consumer holds between two reads, and what it says where that is not enough."""

from __future__ import annotations

from dataclasses import dataclass, field

from rotator.consumer.backoff import Pause
from rotator.consumer.token_clock import Copy, Moment, Need
from rotator.errors import RotatorError, TokenExpired, TokenUnavailable


@dataclass(frozen=True, kw_only=True)
class Held:
    """What reads have left: the last good copy, why the last read gave none, and when to read again."""

    copy: Copy | None = None
    failure: RotatorError | None = None
    pause: Pause = field(default_factory=Pause)

    def after(self, read: Copy | RotatorError, moment: Moment) -> Held:
        """Return what is held after a read."""
        longer = self.pause.longer(moment)
        if isinstance(read, RotatorError):
            return Held(copy=self.copy, failure=read, pause=longer)
        nothing_new = self.copy is not None and self.copy.token == read.token
        return Held(copy=read, pause=longer if nothing_new else Pause())

    def need(self, moment: Moment) -> Need:
        """What the copy needs, or that there is none."""
        return self.copy.need(moment) if self.copy else Need.REPLACEMENT

    def good_token(self, moment: Moment) -> str | None:
        """Return the token if it is alive."""
        return self.copy.token if self.copy and self.copy.left(moment) > 0 else None

    def complaint(self, parameter_name: str, moment: Moment) -> RotatorError:
        """Say why there is no good token; an error of its own for each caller, since raising adds frames."""
        if self.failure:
            problem = self.failure.problem
            if self.copy and not isinstance(self.failure, TokenExpired):
                problem += f", and the last token ended {-self.copy.left(moment):.0f} s ago"
            return type(self.failure)(problem, advice=self.failure.advice)
        if self.copy:
            return expired(parameter_name, "has ended, and the last read found no other")
        return TokenUnavailable(
            f"the parameter {parameter_name} is being read for long",
            advice="check the network path to AWS, and what gives the AWS credentials",
        )


def expired(parameter_name: str, what: str) -> TokenExpired:
    """Say that what is stored has ended."""
    return TokenExpired(
        f"the token in {parameter_name} {what}",
        advice="tell whoever has it renewed, and can see why it was not: `rotator status`",
    )
