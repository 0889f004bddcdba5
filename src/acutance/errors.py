"""Every error that Acutance raises on purpose.

    AcutanceError                 catch this one to catch them all
    ├── InputError (ValueError)   something given is unusable; the message says what to do instead
    │   ├── ImageError            a picture: damaged, refused, of an impossible size
    │   ├── KernelError           a blur kernel: unreadable, empty, larger than the picture
    │   ├── WeightsError          a weights file: unreadable, of another network, of another version
    │   ├── ConfigError           a setting or a training configuration
    │   │   └── UnknownSetting    a setting that there is not
    │   ├── DataError             a data folder: missing, empty, not what is expected there
    │   └── UnknownMethod         a method's name that is not in the catalogue
    ├── OutputError (OSError)     a result that cannot be written, or must not be overwritten
    ├── ClusterError              a cluster that cannot be reached, or was lost
    └── MissingExtra (ImportError) an optional package that is not installed

Messages are written for the person at the keyboard: the argument, the value, the remedy.
Numerical trouble is not an error but an outcome (`acutance.problem.Outcome`).
"""


class AcutanceError(Exception):
    """Base of every error raised on purpose."""


class InputError(AcutanceError, ValueError):
    """Something given by the caller is unusable."""


class ImageError(InputError):
    """A picture cannot be read, or must not be."""


class KernelError(InputError):
    """A blur kernel cannot be read or used."""


class WeightsError(InputError):
    """A weights file cannot be read or does not fit the network."""


class ConfigError(InputError):
    """A setting or a configuration file is wrong."""


class UnknownSetting(ConfigError):
    """A setting that there is not. Args: setting: its name. message: what there is."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


class DataError(InputError):
    """A data folder is missing or does not hold what is expected."""


class UnknownMethod(InputError):
    """A method's name that is not in the catalogue."""


class OutputError(AcutanceError, OSError):
    """A result cannot be written, or would overwrite something."""


class ClusterError(AcutanceError):
    """A cluster cannot be reached, or was lost."""


class MissingExtra(AcutanceError, ImportError):
    """An optional package is needed for this."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional package; install it with: pip install 'acutance[{extra}]'")


class AcutanceWarning(UserWarning):
    """Base of every warning issued on purpose."""
