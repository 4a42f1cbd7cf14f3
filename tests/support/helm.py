"""Helm, which renders the chart for the tests.

python -m tests.support.helm    builds it where Go is there, once: two minutes of two cores
"""

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support import ROOT

MODULE = "helm.sh/helm/v3/cmd/helm@v3.22.0"
KUBERNETES = (1, 34)
"""What a Helm that knows no cluster takes a cluster for; its own build says so likewise."""
FOLDER = ROOT / ".clients_cache" / "helm"
MISSING = "there is no Helm: `make helm` builds it where Go is installed"
CHART = ROOT / "deploy" / "helm" / "rag-queue"
KEDA = "keda.sh/v1alpha1"

Object = dict[str, Any]


def helm() -> str | None:
    """Its path, where there is one."""
    return shutil.which("helm") or shutil.which("helm", path=str(FOLDER))


def fetch() -> int:
    """Exit code: always 0, since tests that need it say that it is missing."""
    if helm() is None and shutil.which("go"):
        package = "helm.sh/helm/v3/pkg/chartutil.k8sVersion"
        flags = " ".join(f"-X {package}{part}={KUBERNETES[place]}" for place, part in enumerate(("Major", "Minor")))
        # Other tests go on meanwhile, and some of them have time-outs.
        command = ["nice", "go", "install", "-buildvcs=false", "-trimpath", f"-ldflags=-s -w {flags}", MODULE]
        subprocess.run(command, env={**os.environ, "GOBIN": str(FOLDER), "CGO_ENABLED": "0"}, check=False)
    sys.stdout.write(f"tests of the chart: {helm() or MISSING}\n")
    return 0


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Helm with `arguments`, and nothing of the user's own."""
    program = helm()
    assert program is not None, MISSING
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": os.devnull}
    return subprocess.run([program, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False)


def objects(text: str) -> list[Object]:
    """What `text` has in YAML; its C reader is ten times as fast."""
    return [found for found in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if found]


@cache
def rendered(*options: str) -> tuple[Object, ...]:
    """What the chart makes of its values and `options`, in a cluster that has KEDA where they name it."""
    version = ".".join(str(part) for part in KUBERNETES)
    done = run("template", "rag-queue", str(CHART), "--namespace", "rag", "--kube-version", version, *options)
    assert done.returncode == 0, done.stderr
    return tuple(objects(done.stdout))


def values_file(size: str) -> Path:
    """The values of a size; `""`: those of the chart."""
    return CHART / (f"values-{size}.yaml" if size else "values.yaml")


if __name__ == "__main__":
    sys.exit(fetch())
