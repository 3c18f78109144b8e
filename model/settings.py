"""What the settings of dashboard and API share: environment variables that become one checked, frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from model.inference.artifact import DEFAULT_ARTIFACT

ROOT = Path(__file__).resolve().parents[1]


class UnusableSetting(Exception):
    """A setting with a value that cannot be used; the message names the variable, what was expected and what to do."""


def _switch(value: object) -> object:
    if isinstance(value, str) and value not in ("0", "1"):
        raise ValueError(f"expected 0 or 1, received {value!r}; correct it or unset it")
    return value == "1" if isinstance(value, str) else value


def _from_root(value: object) -> object:
    return ROOT / Path(value).expanduser() if isinstance(value, str) else value


def _port(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and 0 < int(value) < 65536):
        raise ValueError(f"expected a number from 1 to 65535, received {value!r}; correct it or unset it")
    return value


def whole_number(minimum: int) -> BeforeValidator:
    """How a setting's text becomes a whole number of at least `minimum`."""

    def check(value: object) -> object:
        if isinstance(value, str) and not (value.isascii() and value.isdigit() and int(value) >= minimum):
            raise ValueError(
                f"expected a whole number of at least {minimum}, received {value!r}; correct it or unset it"
            )
        return value

    return BeforeValidator(check)


# What a variable's text becomes. A value that code gives is taken as it is.
Switch = Annotated[bool, BeforeValidator(_switch)]
Folder = Annotated[Path, BeforeValidator(_from_root)]  # a relative one counts from the root, wherever a program starts
Port = Annotated[int, BeforeValidator(_port)]


class ProgramSettings(BaseSettings):
    """How a program runs. Each field names its environment variable and describes it in one line.

    An object made in code holds what it is given and the defaults; only `read` looks at variables.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        case_sensitive=True,
        populate_by_name=True,
        validate_default=False,
        # Lists of users and tokens are written with commas, not as JSON.
        enable_decoding=False,
        hide_input_in_errors=True,
        # `model_dir` is a folder here, no part of pydantic.
        protected_namespaces=(),
    )
    error: ClassVar[type[UnusableSetting]] = UnusableSetting

    model_dir: Folder = Field(
        DEFAULT_ARTIFACT, validation_alias="MODEL_DIR", description="Folder of the model's weights and manifest."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: object,
        **named: object,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Settings from environment variables; an unset or empty variable means the default.

        Args:
            environ: variable names and values, `os.environ` in the program.

        Raises:
            UnusableSetting: as the program's own `error`: a value that cannot be used, or two that do not go together.
        """
        source = EnvSettingsSource(cls)
        source.env_vars = {name: value.strip() for name, value in environ.items() if value.strip()}
        try:
            return cls(**source())
        except ValidationError as error:
            # Without the original, whose trace would show what was set.
            raise cls.error(_message(error)) from None


def _message(error: ValidationError) -> str:
    first = error.errors()[0]
    # One that concerns several variables names them itself.
    return ": ".join([*map(str, first["loc"][:1]), first["msg"].removeprefix("Value error, ")])


def variables_of(program: type[ProgramSettings]) -> dict[str, str]:
    """Every environment variable of a program, and one line on it."""
    return {str(field.validation_alias): field.description or "" for field in program.model_fields.values()}


def is_loopback(address: str) -> bool:
    """Whether nobody but this computer reaches an address or a host's name."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
