"""What a person can set of restoration. Loads nothing heavy."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

__all__ = ["RestorationConfig", "active", "steps"]


def _switch(on: str) -> BeforeValidator:
    """Accept true and false for on and off, as YAML 1.1 reads the bare words."""

    def word(value: Any) -> Any:
        return {True: on, False: "off"}[value] if isinstance(value, bool) else value

    return BeforeValidator(word)


Bool = Annotated[bool, Strict()]


class RestorationConfig(BaseModel):
    """Repairs before color. All off by default; the only steps that change luma."""

    # As `videocolor.config.Section`, which cannot be imported here: that module holds this section.
    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=(), allow_inf_nan=False
    )

    telecine: Annotated[Literal["off", "restore"], _switch("restore")] = "off"
    """restore: put the fields of 3:2 and like pulldowns back together; repeated frames stay, times stay."""
    deinterlace: Annotated[Literal["off", "on"], _switch("on")] = "off"
    """on: deinterlace where the picture combs; the lines of the upper field stay as they are."""
    field_order: Literal["auto", "top", "bottom"] = "auto"
    """Which field is the earlier one, for deinterlace: auto (seen from motion), top or bottom."""
    deflicker: Bool = False
    """Even out exposure that jumps from frame to frame; fades and slow changes stay."""
    deflicker_frames: Annotated[int, Strict()] = Field(default=12, ge=4, le=24)
    """Frames before and after, of the same shot, that a frame's exposure is compared with, 4..24."""
    deflicker_limit: Annotated[float, Strict()] = Field(default=0.4, ge=0.05, le=1.0)
    """Share by which a frame's exposure may be corrected, 0.05..1. Beyond it is a flash and stays."""
    dust: Bool = False
    """Repair dust, specks and vertical scratches."""
    dust_contrast: Annotated[float, Strict()] = Field(default=12.0, ge=4.0, le=64.0)
    """Least contrast of dust in 8-bit levels, 4..64. Smaller finds more, and mistakes more for dust."""
    scratch_height: Annotated[float, Strict()] = Field(default=0.7, ge=0.4, le=1.0)
    """Share of the picture's height that a line must run through to be a scratch, 0.4..1."""


def steps(config: RestorationConfig) -> tuple[str, ...]:
    """Names of the steps that are on, in the order in which they run; for records."""
    on = {
        "telecine": config.telecine != "off",
        "deinterlace": config.deinterlace != "off",
        "deflicker": config.deflicker,
        "dust": config.dust,
    }
    return tuple(name for name, wanted in on.items() if wanted)


def active(config: RestorationConfig) -> bool:
    """Tell whether any step is on: whether luma may change."""
    return bool(steps(config))
