"""The texts that depend on the repository's public address, which stands in pyproject.toml: badges and set-up cells.

A text with badges has a line `<!-- badges -->` and a line `<!-- /badges -->`; what stands between is written from here.
A notebook's set-up cell is its one code cell with the tag `setup`; its whole source is written from here.
"""

import re
import tomllib
from pathlib import Path
from urllib.parse import quote

BADGES = re.compile(r"(?<=<!-- badges -->\n).*?(?=<!-- /badges -->)", re.DOTALL)
ENTRY = re.compile(r'(?<=^address = )"[^"]*"', re.MULTILINE)
ACCEPTED = re.compile(r"https://[\w.-]+(/[\w.~-]+){2,}")

SETUP = """\
# Set-up: installs LMRL Lab where it is missing (Colab) and upgrades nothing that is already there.
import {extra}importlib.metadata, importlib.util, re, subprocess, sys
if importlib.util.find_spec("lmrl_lab") is None:
    {package}
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    subprocess.run([*pip, "--no-deps", package], check=True)
    needs = [need for need in importlib.metadata.requires("lmrl-lab") if "extra ==" not in need]
    missing = [need for need in needs if importlib.util.find_spec(re.match(r"\\w+", need)[0]) is None]
    if missing:
        subprocess.run([*pip, *missing], check=True)
    importlib.invalidate_caches()
import lmrl_lab as lab
lab.doctor()"""

FROM_ADDRESS = 'package = "git+{address}"'
FROM_WHEEL = """\
package = max(glob.glob("lmrl_lab-*.whl"), default=None)
    if package is None:
        raise ImportError("No LMRL Lab. Colab: upload lmrl_lab-*.whl (`make wheel`), run again. Else: `make lab`.")"""


def read_address(root: Path) -> str:
    """The public address, or "" while there is none."""
    return tomllib.loads((root / "pyproject.toml").read_text())["tool"]["lmrl_lab"]["address"]


def accept_address(url: str) -> str:
    """The address as it is stored; ValueError says what would be accepted."""
    url = url.strip().removesuffix("/").removesuffix(".git")
    if url and not ACCEPTED.fullmatch(url):
        raise ValueError(f"{url!r} is no repository's address; accepted: https://github.com/OWNER/NAME, or '' for none")
    return url


def setup_source(address: str) -> str:
    """The set-up cell: installs from the address if there is one, else from a wheel that lies beside the notebook."""
    if address:
        return SETUP.format(extra="", package=FROM_ADDRESS.format(address=address))
    return SETUP.format(extra="glob, ", package=FROM_WHEEL)


def links(address: str, notebook: str) -> dict[str, str]:
    """Where the notebook (a path in the repository) can be run: service -> link. Colab opens GitHub only."""
    if not address:
        return {}
    github = address.removeprefix("https://github.com/")
    spec = f"git/{quote(address, safe='')}" if github == address else f"gh/{github}"
    binder = f"https://mybinder.org/v2/{spec}/main?urlpath=lab/tree/{quote(notebook)}"
    if github == address:
        return {"Binder": binder}
    return {"Colab": f"https://colab.research.google.com/github/{github}/blob/main/{quote(notebook)}", "Binder": binder}


def notebook_badges(address: str, notebook: str) -> str:
    """The line in a notebook's header. Links without pictures: opening a notebook asks nothing of the network."""
    found = [f"[Open in {service}]({link})" for service, link in links(address, notebook).items()]
    if "Colab" not in links(address, notebook):
        found.insert(0, "Colab: upload the wheel built by `make wheel`, see the README")
    return " · ".join(found) + "\n"


def readme_badges(address: str, notebook: str) -> str:
    """The line in the README, with the services' own pictures, which a repository's page fetches anyway."""
    pictures = {
        "Colab": "https://colab.research.google.com/assets/colab-badge.svg",
        "Binder": "https://mybinder.org/badge_logo.svg",
    }
    found = [f"[![Open in {name}]({pictures[name]})]({link})" for name, link in links(address, notebook).items()]
    return " ".join(found or ["Colab and Binder: not before this repository has a public address."]) + "\n"


def setup_cells(notebook) -> list:
    """The cells that carry the tag `setup`."""
    return [c for c in notebook.cells if c.cell_type == "code" and "setup" in c.metadata.get("tags", [])]
