"""Installs the clients that `make install-dev` does not bring: python -m tests.acceptance.clients.install"""

import subprocess
import sys

from tests.acceptance.clients import litellm_sdk, openai_go, openai_node

INSTALLERS = {
    "openai for JavaScript": openai_node.install,
    "openai for Go": openai_go.install,
    "LiteLLM": litellm_sdk.install,
}


def main() -> None:
    """Install each; what can't be is said, and its tests are skipped."""
    for name, install in INSTALLERS.items():
        try:
            install()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name} can't be installed, its tests are skipped: {error}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
