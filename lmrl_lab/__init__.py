"""LMRL Lab: learn, teach and try multi-turn reinforcement learning with language models.

The names of the front door; each is imported when it is first used, so that playing a game needs no torch.
"""

import lmrl_lab.env  # noqa: F401  (registers the environments with Gymnasium)

__version__ = "0.1.0"

_HOME = {
    "TASKS": "env", "make": "env", "register": "env",
    "Episode": "episode", "Turn": "episode", "read_episodes": "episode", "write_episodes": "episode",
    "generate": "data", "load_published": "data",
    "evaluate": "evaluation", "leaderboard": "scoreboard",
    "train": "algorithms", "load_agent": "agent",
    "play": "widgets", "replay": "widgets", "inspect_tokens": "widgets",
    "doctor": "checkup",
}

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'lmrl_lab' has no attribute '{name}'")
    import importlib
    value = getattr(importlib.import_module(f"lmrl_lab.{_HOME[name]}"), name)
    globals()[name] = value  # also puts the function in place of a module of the same name
    return value


def __dir__():
    return sorted([*globals(), *_HOME])
