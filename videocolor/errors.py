"""Every error that videocolor raises on purpose.

    VideocolorError                exit 1
    ├── UsageError                 exit 2   an argument, option or setting that cannot be used
    │   └── ConfigError            exit 2   a configuration file or `--set` that does not validate
    ├── InputError                 exit 1   a file that is missing, unreadable, damaged or not what it claims
    │   ├── NoVideoError           exit 1   no video stream, or a stream without a single frame
    │   ├── UnsupportedVideoError  exit 1   a film we refuse to color wrongly (HDR, encrypted, resized midway)
    │   └── HintError              exit 1   a hint that cannot be read or cannot be used
    ├── OutputError                exit 1   the target cannot be written, or cannot hold what it must
    ├── ModelError                 exit 1   weights, card and network do not belong together
    ├── PluginError                exit 1   code that is not ours returned what it must not
    ├── ProgramError               exit 1   a command of the user's failed, hung, or made no picture of its frame
    ├── DeviceError                exit 1   the device is not there, or its memory ran out for good
    └── Interrupted                exit 130 / 143 (Ctrl-C, SIGTERM)

Messages name the file, the value, and what to do next.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DeviceError",
    "HintError",
    "InputError",
    "Interrupted",
    "ModelError",
    "NoVideoError",
    "OutputError",
    "PluginError",
    "ProgramError",
    "UnsupportedVideoError",
    "UsageError",
    "VideocolorError",
]


class VideocolorError(Exception):
    """Base of all errors that videocolor raises on purpose."""

    exit_code = 1


class UsageError(VideocolorError):
    """An argument, option or setting cannot be used as given."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file or an override does not validate."""


class InputError(VideocolorError):
    """An input file is missing, unreadable, damaged, or not what it claims to be."""


class NoVideoError(InputError):
    """The input has no video stream, or not a single frame could be decoded."""


class UnsupportedVideoError(InputError):
    """The film would come out wrong, so it is refused with the reason."""


class HintError(InputError):
    """A hint cannot be read or cannot be used."""


class OutputError(VideocolorError):
    """The target cannot be written, or its container cannot hold what it must."""


class ModelError(VideocolorError):
    """Weights, card and network do not belong together."""


class PluginError(VideocolorError):
    """A plug-in returned what its interface does not allow: another shape, type, range or number."""


class ProgramError(VideocolorError):
    """A command that colors pictures failed, took too long, or made what is no picture of its frame."""


class DeviceError(VideocolorError):
    """The computing device is missing, or its memory ran out even for one frame."""


class Interrupted(VideocolorError):
    """The run was stopped by a signal; nothing was left under the final name."""

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code
