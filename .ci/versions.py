"""Run the suite with the lowest or the newest versions that skmtl allows, and write down what came out.

``python .ci/versions.py lowest`` and ``python .ci/versions.py newest`` each make a virtual environment of
their own outside the repository, install, test, and replace their row in docs/contributing/versions.csv.
The lowest versions are those of pyproject.toml.  torch is the one of constraints.txt in both: other
versions come with gigabytes of CUDA where there is no index of CPU builds.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "contributing" / "versions.csv"
SHOWN = ("numpy", "pandas", "scikit-learn", "torch", "skorch", "narwhals", "safetensors")
TORCH = re.search(r"^torch==.*$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[0]


def pins(which: str) -> list[str]:
    """Return what to ask of pip beside the package itself."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    if which == "newest":
        return [TORCH]
    others = [each for each in dependencies if not each.startswith("torch")]
    return [TORCH, *(re.sub(r">=([\d.]+)$", r"==\1.0", each) for each in others)]


def main(which: str) -> None:
    """Install, test, and write a row."""
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/bin/python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        wanted = [f"{ROOT}[test]", *pins(which)]
        subprocess.run([python, "-m", "pip", "install", "-q", "-e", *wanted], check=True)
        show = (
            "from importlib.metadata import version; import sys; print(*map(version, sys.argv[1:]))"
        )
        done = subprocess.run(
            [python, "-c", show, *SHOWN], check=True, capture_output=True, text=True
        )
        versions = done.stdout.split()
        command = [python, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider"]
        if which == "lowest":  # which warn of what newer ones have settled
            command += [f"-Wignore::{kind}Warning" for kind in ("Deprecation", "Future")]
        tests = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    sys.stdout.write(tests.stdout[-8000:])
    result = re.sub(r" in .*| =+|=+ ", "", tests.stdout.strip().splitlines()[-1])
    number = ".".join(map(str, sys.version_info[:2]))
    write(which, [number, *versions, f'"{result}"'])


def write(which: str, cells: list[str]) -> None:
    """Put a row into the table, in place of the one that begins alike."""
    lines = TABLE.read_text().splitlines() if TABLE.exists() else []
    kept = [line for line in lines[1:] if not line.startswith(f"{which},")]
    head = ",".join(["versions", "Python", *SHOWN, "suite"])
    rows = sorted([*kept, ",".join([which, *cells])])
    TABLE.write_text("\n".join([head, *rows]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
