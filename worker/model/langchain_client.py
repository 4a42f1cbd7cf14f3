"""A provider's client as LangChain's package for it makes it: with our time-out, and without retries of its own."""

from collections.abc import Callable, Mapping
from importlib import import_module
from math import ceil
from typing import Any, TypeVar

from dotenv import load_dotenv
from pydantic import ValidationError

from app.core.errors import ConfigurationError
from app.core.settings import Settings

Client = TypeVar("Client")
Registry = Mapping[str, tuple[str, str, Any]]
"""LangChain's `_BUILTIN_PROVIDERS`: a provider's module, its class there, and how to make one."""

TIME_OUTS = ("timeout", "request_timeout", "timeout_seconds")
"""What the packages call a request's time-out, in seconds."""


def open_client(
    variable: str,
    model: str,
    make: Callable[..., Client],
    *,
    registry: Registry,
    provider: str,
    timeout_seconds: float,
) -> Client:
    """What `make`, LangChain's `init_chat_model` or `init_embeddings`, gives for `model`.

    The provider's own variables (ANTHROPIC_API_KEY, say) may stand in `.env` beside ours. Raises `ConfigurationError`
    that names `variable` when the provider's package is missing, or refuses to start.
    """
    if env_file := Settings.model_config.get("env_file"):
        load_dotenv(str(env_file))  # the packages read the environment alone
    module, class_name, _ = registry[provider]
    try:
        client_class: type = getattr(import_module(module), class_name)
    except (ImportError, AttributeError) as error:
        package = module.partition(".")[0].replace("_", "-")
        raise ConfigurationError(
            f"{variable}={model} needs the package {package}: pip install {package} ({error})"
        ) from error
    try:
        return make(model, **options_of(client_class, timeout_seconds))
    except Exception as error:  # whatever a provider's package takes for a wrong configuration
        raise ConfigurationError(f"{variable}={model}: {_said(error)}") from error


def options_of(client_class: type, timeout_seconds: float) -> dict[str, Any]:
    """How a client of this class is told its time-out, and not to retry, in the words that it knows.

    The time-out is in whole seconds, which all of them take; to the fraction it is kept by `bounded`.
    """
    names = _parameters(client_class)
    options: dict[str, Any] = {}
    if name := next((names[known] for known in TIME_OUTS if known in names), None):
        options[name] = ceil(timeout_seconds)
    elif "client_kwargs" in names:  # Ollama's: what its HTTP client is made with
        options["client_kwargs"] = {"timeout": ceil(timeout_seconds)}
    if "max_retries" in names:
        options[names["max_retries"]] = 0  # a failed job goes back to the queue instead of holding its worker
    return options


def _parameters(client_class: type) -> dict[str, str]:
    """A pydantic class's parameters, by their fields' names and by their aliases, as its constructor takes them."""
    fields = getattr(client_class, "model_fields", {})
    aliases = {name: field.alias or name for name, field in fields.items()}
    return aliases | {alias: alias for alias in aliases.values()}


def _said(error: Exception) -> str:
    """What went wrong, without the values that it went wrong with."""
    if isinstance(error, ValidationError):
        return "; ".join(problem["msg"] for problem in error.errors(include_input=False, include_url=False))
    return f"{type(error).__name__}: {error}"
