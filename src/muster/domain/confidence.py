"""How likely work is right: the number, what it rests on, and why there may be none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """A sentence that speaks for or against, and by how much it moved the sum (log-odds)."""

    text: str
    share: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a project's own outcomes bend what the shipped weights say: `slope * logit + shift`.

    It was made of `outcomes`, of which `wrong` were wrong.
    """

    slope: float
    shift: float
    outcomes: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Confidence:
    """How likely it is that the work is right; `value` is None where muster does not say.

    `abstains` is the reason then. `for_` and `against` hold the strongest reasons, strongest first.
    `features` are the numbers that it was made of, `logit` what the weights of version `prior` say
    to them, and `calibration` what the project's outcomes made of that; None where they do not
    count yet.
    """

    value: float | None
    for_: tuple[Reason, ...] = ()
    against: tuple[Reason, ...] = ()
    abstains: str = ""
    features: Mapping[str, float] = field(default_factory=dict)
    logit: float = 0.0
    prior: str = ""
    calibration: Calibration | None = None

    def as_json(self) -> dict[str, Any]:
        """As the store and the doors have it; features that are zero are left out."""
        return {
            "value": self.value,
            "for": [asdict(reason) for reason in self.for_],
            "against": [asdict(reason) for reason in self.against],
            "abstains": self.abstains,
            "features": {name: value for name, value in self.features.items() if value},
            "logit": self.logit,
            "prior": self.prior,
            "calibration": asdict(self.calibration) if self.calibration else None,
        }

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Confidence:
        """What `as_json` made, as it was but for the features that are zero."""
        bend = kept["calibration"]
        return cls(
            value=kept["value"],
            for_=tuple(Reason(**reason) for reason in kept["for"]),
            against=tuple(Reason(**reason) for reason in kept["against"]),
            abstains=kept["abstains"],
            features=dict(kept["features"]),
            logit=kept["logit"],
            prior=kept["prior"],
            calibration=Calibration(**bend) if bend else None,
        )
